from pathlib import Path

import pytest
import yaml

from rlvr.errors import UserError
from rlvr.tables import check_spec, read_spec
from rlvr.tables.spec import experiment

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_the_scale_replaces_what_it_names(tmp_path, spec):
    other = {"columns": {"in_domain": ["math500"]}}
    file = tmp_path / "paper" / "table3.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(spec | {"scales": {"paper": other}}))
    assert read_spec(file, "laptop") == spec | {"name": "paper/table3"}
    assert read_spec(file, "paper") == spec | {"name": "paper/table3"} | other


def test_a_table_starts_from_what_it_extends(tmp_path, spec):
    common = {"metrics": ["pass@1"], "labels": {"easy": "EASY"}, "scales": {"smoke": {"metrics": ["pass@2"]}}}
    first = {"published": {"file": "a.csv", "table": "1", "note": "ours"}, "arms": spec["arms"]}
    first["scales"] = {"paper": {"published": {"note": None}, "columns": {"a": ["hard"]}}}
    second = {"title": "Two", "columns": {"a": ["easy"]}, "labels": {"a": "A"}, "published": {"table": "2"}}
    (tmp_path / "paper").mkdir()
    for name, parent, content in [
        ("common", None, common), ("paper/one", "common", first), ("paper/two", "paper/one", second)
    ]:  # fmt: skip
        text = yaml.safe_dump(content | ({"extends": parent} if parent else {}))
        (tmp_path / f"{name}.yaml").write_text(text)
    expected = second | {
        "name": "paper/two",
        "metrics": ["pass@1"],
        "labels": {"easy": "EASY", "a": "A"},
        "published": {"file": "a.csv", "table": "2", "note": "ours"},
        "arms": spec["arms"],
    }
    two = tmp_path / "paper" / "two.yaml"
    assert read_spec(two, "laptop") == expected
    assert read_spec(two, "smoke") == expected | {"metrics": ["pass@2"]}
    published = expected["published"] | {"note": None}
    assert read_spec(two, "paper") == expected | {"published": published, "columns": {"a": ["hard"]}}


def test_extending_what_is_not_there_names_the_nearest(tmp_path):
    file = tmp_path / "paper" / "two.yaml"
    file.parent.mkdir()
    file.write_text("extends: paper/tow\n")
    with pytest.raises(UserError, match=r"'paper/tow'.*did you mean paper/two"):
        read_spec(file, "laptop")


def test_a_table_may_show_the_runs_of_another(spec):
    assert experiment(spec, "laptop") == "paper/table9/laptop"
    assert experiment(spec | {"runs": "paper/table1"}, "laptop") == "paper/table1/laptop"


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_f_grpo_table_1_is_laid_out(scale):
    spec = read_spec(EXPERIMENTS / "fgrpo" / "table1.yaml", scale)
    assert [arm["name"] for arm in spec["arms"] if "baseline" in arm] == ["f-grpo", "f-dapo", "f-cispo"]
    assert spec["metrics"] == ["pass@1", "pass@256"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": []}, "needs a value for 'metrics'"),
        ({"metrics": ["pass@0"]}, "unknown metric 'pass@0'.*did you mean pass@"),
        ({"metrics": ["accuracy"]}, "unknown metric 'accuracy'"),
        ({"columns": {"a": ["easy"], "b": ["easy"]}}, "benchmark 'easy' is in table paper/table9 twice"),
        ({"arms": [{"name": "grpo"}, {"name": "grpo"}]}, "arm 'grpo' is in table paper/table9 twice"),
        ({"arms": [{"name": "grpo"}, {"name": "f", "baseline": "gpro"}]}, "'gpro'.*did you mean grpo"),
        ({"arms": [{"name": "grpo"}], "dynamics": {"smoothing": 0.1}}, "give an arm its baseline"),
    ],
)
def test_refuses_what_cannot_be_laid_out(spec, change, said):
    with pytest.raises(UserError, match=said):
        check_spec(spec | change)
