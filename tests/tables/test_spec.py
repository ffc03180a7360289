from pathlib import Path

import pytest
import yaml

from rlvr.errors import UserError
from rlvr.tables import check_spec, read_spec

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_the_scale_replaces_what_it_names(tmp_path, spec):
    other = {"columns": {"in_domain": ["math500"]}}
    file = tmp_path / "paper" / "table3.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(spec | {"scales": {"paper": other}}))
    assert read_spec(file, "laptop") == spec | {"name": "paper/table3"}
    assert read_spec(file, "paper") == spec | {"name": "paper/table3"} | other


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
    ],
)
def test_refuses_what_cannot_be_laid_out(spec, change, said):
    with pytest.raises(UserError, match=said):
        check_spec(spec | change)
