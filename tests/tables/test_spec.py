import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rlvr.errors import UserError
from rlvr.runs.reproduce import schedule_runs
from rlvr.tables.claims_file import read_claims
from rlvr.tables.names import scale_of, tables
from rlvr.tables.read_spec import read_spec
from rlvr.tables.spec import Arm, Dynamics, Measures, PublishedSource, Sweep, check_spec

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def write(folder: Path, content: dict) -> Path:
    file = folder / "paper" / "table3.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return file


def test_the_scale_replaces_what_it_names(tmp_path, layout, spec):
    file = write(tmp_path, layout | {"scales": {"paper": {"columns": {"in_domain": ["math500"]}}}})
    assert read_spec(file, "laptop") == replace(spec, name="paper/table3")
    other = replace(spec, name="paper/table3", columns={"in_domain": ["math500"]})
    assert read_spec(file, "paper") == other


def test_a_table_has_its_own_scale_unless_another_is_given(tmp_path, layout, spec):
    """Those of language models were trained with the steps and rollouts of scale=laptop, for hours."""
    names = ("qwen/sums", "smollm2/engines", "shootout/small", "shootout/gpu", "fgrpo/table1")
    assert [scale_of(name) for name in names] == ["small", "small", "small", "gpu", "laptop"]
    file = write(tmp_path, layout | {"scale": "small", "scales": {"small": {"seeds": [7]}}})
    assert scale_of("paper/table3", tmp_path) == "small"
    assert read_spec(file, "small") == replace(spec, name="paper/table3", seeds=[7])
    assert read_spec(file, "laptop") == replace(spec, name="paper/table3")
    write(tmp_path, layout | {"scale": "smal"})
    with pytest.raises(UserError, match=r"unknown scale in scale of .*table3\.yaml 'smal'.*small"):
        scale_of("paper/table3", tmp_path)


def test_a_table_starts_from_what_it_extends(tmp_path, layout):
    common = {"metrics": ["pass@1"], "labels": {"easy": "EASY"}, "scales": {"smoke": {"metrics": ["pass@2"]}}}
    first = {"published": {"file": "a.csv", "table": "1", "note": "ours"}, "arms": layout["arms"]}
    first["scales"] = {"paper": {"published": {"note": None}, "columns": {"in_domain": ["hard"]}}}
    second = {"title": "Two", "labels": {"hard": "H"}, "published": {"table": "2"}}
    second["columns"] = {"in_domain": ["easy"]}
    (tmp_path / "paper").mkdir()
    for name, parent, content in [
        ("common", None, common), ("paper/one", "common", first), ("paper/two", "paper/one", second)
    ]:  # fmt: skip
        text = yaml.safe_dump(content | ({"extends": parent} if parent else {}))
        (tmp_path / f"{name}.yaml").write_text(text)
    two = tmp_path / "paper" / "two.yaml"
    spec = read_spec(two, "laptop")
    assert (spec.name, spec.title, spec.metrics) == ("paper/two", "Two", ["pass@1"])
    assert spec.labels == {"easy": "EASY", "hard": "H"}
    assert spec.columns == {"in_domain": ["easy"]}
    assert spec.published == PublishedSource("a.csv", "2", note="ours")
    assert spec.arms == [Arm("base", "Base"), Arm("grpo", "GRPO"), Arm("f-grpo", "F-GRPO", "grpo")]
    assert read_spec(two, "smoke") == replace(spec, metrics=["pass@2"])
    published = PublishedSource("a.csv", "2")
    assert read_spec(two, "paper") == replace(spec, published=published, columns={"in_domain": ["hard"]})


def test_a_learning_rate_is_checked_by_more_arms_and_an_arm_can_be_anothers(tmp_path, layout):
    arms = [ARM, {"name": "kl", "overrides": ["algorithm.kl_coefficient=0.1"]}]
    (tmp_path / "paper").mkdir()
    one = layout | {"arms": arms, "overrides": ["data.size=8"], "rates": {"arms": ["kl"], "times": [0.5, 2]}}
    (tmp_path / "paper" / "one.yaml").write_text(yaml.safe_dump(one))
    slower = read_spec(tmp_path / "paper" / "one.yaml", "laptop").arms[2]
    assert (slower.name, slower.member, slower.times, slower.baseline) == ("kl-x0.5", "kl", 0.5, None)
    assert slower.overrides == ["algorithm.kl_coefficient=0.1"]

    shared = layout | {"shares": "paper/one", "arms": [{"name": "mine", "of": "kl-x2"}, ARM]}
    (mine, own) = read_spec(write(tmp_path, shared), "smoke").arms
    where = ["arm=kl-x2", "experiment=paper/one/smoke"]
    assert mine.overrides == ["data.size=8", "algorithm.kl_coefficient=0.1", *where]
    assert (mine.times, own.overrides) == (2, [])

    for change, said in (
        ({"arms": [{"name": "mine", "of": "lk"}]}, r"arm of paper/one.*'lk'.*did you mean kl"),
        ({"arms": [{"name": "mine", "of": "kl", "overrides": ["seed=2"]}]}, "it has no overrides"),
        ({"shares": "paper/two"}, r"shares paper/two: accepted is <paper>/<table>"),
        ({"rates": {"arms": ["grop"], "times": [2]}}, r"arm in rates .*'grop'.*did you mean grpo"),
        ({"figures": ["training"]}, "figure training of table .*: no arm says its group_size and gamma"),
    ):
        with pytest.raises(UserError, match=said):
            read_spec(write(tmp_path, shared | change), "laptop")


@pytest.mark.parametrize("override", ["seed=5", "+seed=5", "arm=grpo", "experiment=mine"])
def test_what_a_table_says_of_each_run_is_no_override_of_its_file(tmp_path, layout, override):
    """Every run has the seed of its table: that of the file was dropped, and the page had other numbers."""
    for change in ({"overrides": [override]}, {"arms": [ARM, {"name": "five", "overrides": [override]}]}):
        with pytest.raises(UserError, match=rf"{re.escape(override)} in .*table3.yaml: "):
            read_spec(write(tmp_path, layout | change), "laptop")


def test_a_seed_that_is_there_twice_is_refused(spec):
    """Both would be one run, in one folder."""
    with pytest.raises(UserError, match=r"seed 1 is in table .* twice"):
        schedule_runs(spec, [1, 2, 1], [])


def test_an_arm_at_another_rate_or_anothers_trains_on_the_same_problems_and_is_asked_the_same(
    tmp_path, layout
):
    chosen, asked = {"from": "grpo", "share": 0.2}, "algorithm.differential_smoothing.correct"
    arms = [ARM, {"name": "lim", "select": chosen, "x": 1, "series": "a"}, {"name": "ds", "ask": asked}]
    (tmp_path / "paper").mkdir()
    one = layout | {"arms": arms, "rates": {"arms": ["lim", "ds"], "times": [2]}}
    (tmp_path / "paper" / "one.yaml").write_text(yaml.safe_dump(one))
    _, lim, _, faster, ds = read_spec(tmp_path / "paper" / "one.yaml", "laptop").arms
    assert (faster.name, faster.select, faster.x, faster.series) == ("lim-x2", lim.select, None, None)
    assert (ds.name, ds.ask) == ("ds-x2", asked)

    theirs = [{"name": "a", "of": "lim-x2"}, {"name": "b", "of": "ds"}]
    shared = layout | {"shares": "paper/one", "arms": theirs}
    a, b = read_spec(write(tmp_path, shared), "smoke").arms
    assert (a.select, b.ask) == (lim.select, asked)


def test_extending_what_is_not_there_names_the_nearest(tmp_path):
    file = tmp_path / "paper" / "two.yaml"
    file.parent.mkdir()
    file.write_text("extends: paper/tow\n")
    with pytest.raises(UserError, match=r"'paper/tow'.*did you mean paper/two"):
        read_spec(file, "laptop")


def test_a_table_of_rlvrs_name_is_on_top_of_rlvrs_and_a_circle_is_refused(tmp_path):
    (folder := tmp_path / "fgrpo").mkdir()
    (own := folder / "table1.yaml").write_text("extends: fgrpo/table1\ntitle: Mine\n")
    spec, theirs = (read_spec(file, "laptop") for file in (own, EXPERIMENTS / "fgrpo" / "table1.yaml"))
    assert (spec.title, spec.arms) == ("Mine", theirs.arms)
    own.write_text("extends: fgrpo/mine\n")
    (folder / "mine.yaml").write_text("extends: fgrpo/table1\n")
    with pytest.raises(UserError, match=r"mine.yaml extends fgrpo/table1, which extends it"):
        read_spec(own, "laptop")


def test_a_table_may_show_the_runs_of_another(spec):
    assert spec.folder("laptop") == "paper/table9/laptop"
    assert replace(spec, runs="paper/table1").folder("laptop") == "paper/table1/laptop"


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_f_grpo_table_1_is_laid_out(scale):
    spec = read_spec(EXPERIMENTS / "fgrpo" / "table1.yaml", scale)
    pairs = [("grpo", "f-grpo"), ("dapo", "f-dapo"), ("cispo", "f-cispo")]
    at_other_rates = [("grpo-x0.5", "f-grpo-x0.5"), ("grpo-x2", "f-grpo-x2")]
    assert spec.pairs == pairs + (at_other_rates if scale == "laptop" else [])
    assert spec.metrics == ["pass@1", "pass@256"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": []}, "needs a value for 'metrics'"),
        ({"metrics": ["pass@0"]}, "unknown metric 'pass@0'.*did you mean pass@"),
        ({"metrics": ["accuracy"]}, "unknown metric 'accuracy'"),
        ({"columns": {"a": ["easy"], "b": ["easy"]}}, "benchmark 'easy' is in table paper/table9 twice"),
        ({"arms": [Arm("grpo"), Arm("grpo")]}, "arm 'grpo' is in table paper/table9 twice"),
        ({"arms": [Arm("grpo"), Arm("f", baseline="gpro")]}, "'gpro'.*did you mean grpo"),
        ({"arms": [Arm("grpo")], "dynamics": Dynamics(smoothing=0.1)}, "give an arm its baseline"),
        ({"arms": [Arm("grpo", x=2)]}, "has one of x and series"),
        ({"arms": [Arm("grpo", group_size=8)]}, "has one of group_size and gamma"),
        ({"checkpoint": "bets"}, "did you mean best"),
        ({"columns": {"in_domain": ["easy"], "out_of_domain": []}}, "no benchmark in out_of_domain"),
        ({"arms": [Arm("grpo", baseline="grpo")]}, "arm 'grpo' .* is its own baseline"),
        ({"dynamics": Dynamics(smoothing=2)}, "dynamics.smoothing holds 2"),
        ({"sweep": Sweep("N", base=2)}, "no arm says its x and series"),
        ({"arms": [Arm("grpo", x=2, series="a")], "sweep": Sweep("N", base=1)}, "is 1: accepted is above 1"),
        ({"metrics": ["pass@1"], "measures": Measures("grpo", [0.5])}, "accepted is pass@2 or more"),
    ],
)
def test_refuses_what_cannot_be_laid_out(spec, change, said):
    with pytest.raises(UserError, match=said):
        check_spec(replace(spec, **change))


ARM = {"name": "grpo"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dynamcis": {"smoothing": 0.1}}, r"key in .*table3\.yaml 'dynamcis'.*did you mean dynamics\?"),
        (
            {"arms": [ARM, {"name": "f-grpo", "basline": "grpo"}]},
            r"key in arms\[1\] \(f-grpo\) of .*table3\.yaml 'basline'.*did you mean baseline\?",
        ),
        (
            {"scales": {"paper": {"arms": [ARM | {"lable": "GRPO"}]}}},
            r"scales\.paper\.arms\[0\] \(grpo\) of .*'lable'.*did you mean label\?",
        ),
        ({"scales": {"paper": {"metrisc": ["pass@1"]}}}, r"scales\.paper of .*did you mean metrics\?"),
        ({"scales": {"lpatop": {}}}, r"scale in scales of .*'lpatop'.*did you mean laptop\?"),
        ({"columns": {"in_domian": ["easy"]}}, r"columns of .*'in_domian'.*did you mean in_domain\?"),
        ({"effort": {"units": ["steps"], "share": [1]}}, r"effort of .*'share'.*did you mean shares\?"),
        ({"published": {"flie": "a.csv"}}, r"published of .*'flie'.*did you mean file\?"),
        ({"sweep": {"lable": "N"}}, r"sweep of .*'lable'.*did you mean label\?"),
        ({"dynamics": {"smoothign": 1}}, r"dynamics of .*'smoothign'.*did you mean smoothing\?"),
        ({"plan": {"gpu": 1}}, r"plan of .*'gpu'.*did you mean gpus\?"),
        (
            {"arms": [ARM, {"name": "lim", "select": {"form": "grpo"}}]},
            r"arms\[1\]\.select of .*'form'.*did you mean from\?",
        ),
        ({"dynamics": {}}, r"dynamics of .* needs a value for 'smoothing'"),
        ({"arms": [{"label": "GRPO"}]}, r"arms\[0\] of .* needs a value for 'name': it has label"),
        ({"metrics": "pass@1"}, r"metrics of .* is 'pass@1': accepted is a list, as in \[pass@1\]"),
        ({"seeds": [1, "two"]}, r"seeds\[1\] of .* is 'two': accepted is a whole number"),
        ({"entropy": 1}, "entropy of .* is 1: accepted is true or false"),
        ({"published": {"file": "a.csv", "table": 1}}, 'published.table of .* is 1: .* a text, as in "1"'),
        ({"arms": [ARM | {"x": True, "series": "a"}]}, r"arms\[0\]\.x of .* whole number or a number"),
        ({"effort": [1]}, r"effort of .* is \[1\]: accepted are the keys units, shares"),
    ],
)
def test_what_no_table_has_is_said_with_the_file_the_place_and_the_nearest(tmp_path, layout, change, said):
    with pytest.raises(UserError, match=said) as refusal:
        read_spec(write(tmp_path, layout | change), "laptop")
    assert "table3.yaml" in str(refusal.value)


def test_a_wrong_key_is_found_in_the_file_that_has_it(tmp_path, layout):
    (tmp_path / "common.yaml").write_text("metrisc: [pass@1]")
    with pytest.raises(UserError, match=r"key in .*common\.yaml 'metrisc'"):
        read_spec(write(tmp_path, layout | {"extends": "common"}), "laptop")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: a\ntitle: b", "found duplicate key title"),
        ("arms: [", "can't be read as YAML"),
        ("title: \0", "can't be read as YAML"),
        ("- a", "holds a list"),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path, text, said):
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "table3.yaml").write_text(text)
    with pytest.raises(UserError, match=rf"table3\.yaml.*{said}"):
        read_spec(tmp_path / "paper" / "table3.yaml", "laptop")


def test_texts_stay_as_they_are(tmp_path, layout):
    """What looks like an interpolation is for the run that gets it, and is not looked up here."""
    layout["arms"][0]["overrides"] = ["runs=${oc.env:HOME}"]
    assert read_spec(write(tmp_path, layout), "laptop").arms[0].overrides == ["runs=${oc.env:HOME}"]


CLAIM = {"claim": "It grows", "source": "Table 3", "table": "paper/table3"}
PAIR = {"metric": "pass@1", "group": "in_domain", "arm": "f-grpo", "minus": "grpo"}
SIMULATED = {"group_size": 2, "gamma": 0}


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (CLAIM | {"diferences": [PAIR]}, r"claims\[0\] \(It grows\) of .*did you mean differences\?"),
        (CLAIM | {"differences": [PAIR | {"mnius": 1}]}, r"\[0\]\.differences\[0\] .*did you mean minus\?"),
        (CLAIM | {"differences": [{"metric": "pass@1"}]}, "'It grows' of .* without 'group'"),
        (CLAIM | {"differences": [PAIR], "table": "paper/tabel3"}, r"did you mean paper/table3\?"),
        (CLAIM | {"untestable": {"laptpo": "why"}}, r"'It grows' of .*did you mean laptop\?"),
        (
            {"claim": "It grows", "table": "simulation", "metric": "retained_mass"}
            | {"differences": [{"arm": SIMULATED, "minus": {"groupsize": 2, "gamma": 0}}]},
            r"minus in 'It grows' of .*did you mean group_size\?",
        ),
    ],
)
def test_claims_are_as_strict(tmp_path, layout, claim, said):
    write(tmp_path, layout)
    file = tmp_path / "paper" / "claims.yaml"
    file.write_text(yaml.safe_dump({"paper": "A paper", "claims": [claim]}))
    with pytest.raises(UserError, match=said) as refusal:
        read_claims(file)
    assert "claims.yaml" in str(refusal.value)


def test_reading_a_table_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from pathlib import Path; from rlvr.tables.read_spec import read_spec; "
        f"read_spec(Path({str(EXPERIMENTS / 'fgrpo' / 'table1.yaml')!r}), 'laptop'); "
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_file_of_experiments_is_strict():
    assert len(tables()) > 15
    for name in tables():
        assert read_spec(EXPERIMENTS / f"{name}.yaml", "laptop").name == name
