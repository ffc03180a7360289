"""Tables of runs that no file describes: which keys tell arms apart, and what they are compared with."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from reported_runs import EASY, HARD, write_run

from rlvr.errors import UserError
from rlvr.evaluation.sampling import KEY
from rlvr.files.run_files import ANSWERS, RunFiles
from rlvr.report import find_runs
from rlvr.report.write import write_table_of_runs
from rlvr.runs.reproduce import render_taken
from rlvr.tables.adhoc import Wish, base_of, check_seeds, chosen, grid_of, table_of_runs
from rlvr.tables.runs import choice, otherwise
from rlvr.tables.settings import named_key, short_names, telling
from rlvr.tables.spec import Arm, TableSpec

FOCAL = "advantage_scaling=focal"


def write_arm(runs: Path, gamma: float, n: int, correct: int, seed: int = 1) -> None:
    """An arm whose four samples of an easy problem are right `correct` times, and of a hard one never."""
    verdicts = [("correct", "")] * correct + [("wrong", "")] * (4 - correct)
    samples = {EASY: verdicts, HARD: [("wrong", "")] * 4}
    keys = [FOCAL, f"advantage_scaling.gamma={gamma}", f"group_size.n={n}"]
    write_run(runs, f"gamma={gamma:g},n={n}", samples, seed=seed, overrides=keys)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gamma 0 and 1 with groups of 4 and 16: gamma=1 is right once more in four."""
    runs = tmp_path_factory.mktemp("runs")
    for n in (16, 4):
        write_arm(runs, 0, n, correct=2)
        write_arm(runs, 1, n, correct=3)
        write_arm(runs, 1, n, correct=3, seed=2)
    return runs / "sweep"


def test_arms_are_told_apart_by_the_keys_that_differ(sweep: Path):
    grid = grid_of(find_runs(sweep))
    assert grid.keys == ["advantage_scaling.gamma", "group_size.n"]
    assert [grid.label(arm) for arm in grid.arms] == [
        "gamma=0, n=4",
        "gamma=0, n=16",
        "gamma=1, n=4",
        "gamma=1, n=16",
    ]


def test_a_key_that_follows_from_its_group_says_nothing():
    grpo = {"algorithm.name": "grpo", "algorithm.loss": "grpo", "group_size.n": 4}
    cispo = {"algorithm.name": "cispo", "algorithm.loss": "cispo", "group_size.n": 8}
    assert telling([grpo, cispo]) == ["algorithm.name", "group_size.n"]
    clipped = cispo | {"algorithm.is_weight_max": 2.0}
    assert telling([grpo, cispo, clipped])[:2] == ["algorithm.name", "algorithm.is_weight_max"]


def test_keys_are_called_by_their_shortest_end():
    keys = [
        "algorithm.name",
        "training.sampling.temperature",
        "evaluation.sampling.temperature",
        "group_size.n",
    ]
    assert list(short_names(keys).values()) == [
        "algorithm",
        "training.sampling.temperature",
        "evaluation.sampling.temperature",
        "n",
    ]
    assert named_key("algorithm", keys) == "algorithm.name"
    assert named_key("n", keys) == "group_size.n"
    assert named_key("temperature", keys) is None


def test_each_arm_is_compared_with_its_like(sweep: Path):
    runs = find_runs(sweep)
    spec = table_of_runs(runs, Wish(x="n", series="gamma", baseline="gamma=0"))
    assert spec.pairs == [("gamma=0,n=4", "gamma=1,n=4"), ("gamma=0,n=16", "gamma=1,n=16")]
    assert [(arm.series, arm.x) for arm in spec.arms] == [
        ("gamma=0", 4),
        ("gamma=0", 16),
        ("gamma=1", 4),
        ("gamma=1", 16),
    ]
    assert spec.sweep.label == "group_size.n"
    one = table_of_runs(runs, Wish(baseline="gamma=0, n=4"))
    assert {arm.baseline for arm in one.arms[1:]} == {"gamma=0,n=4"}
    assert one.arms[0].baseline is None


def test_an_axis_that_doubles_is_logarithmic():
    assert [base_of([4, 8, 16]), base_of([1, 10, 100]), base_of([0, 1, 2]), base_of([4, 8])] == [
        2,
        10,
        None,
        None,
    ]
    assert [base_of([1e-5, 5e-5, 2e-4]), base_of([1, 3, 8])] == [10, None]


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (Wish(x="gama"), "unknown key 'gama': the keys that differ are gamma, n; did you mean gamma?"),
        (Wish(x="training.steps"), "training.steps is 4 in all arms.*the keys that differ are gamma, n"),
        (Wish(baseline="grpo"), "unknown baseline 'grpo': accepted are gamma=0, n=16"),
        (
            Wish(baseline="gamma=7"),
            "no arm has that and is else like another one; the arms are gamma=0, n=4;",
        ),
    ],
)
def test_a_wish_that_the_runs_cannot_fulfil(sweep: Path, wish: Wish, sentence: str):
    with pytest.raises(UserError, match=sentence):
        table_of_runs(find_runs(sweep), wish)


def test_runs_are_chosen_as_a_sweep_names_them(sweep: Path):
    runs = find_runs(sweep)
    some = chosen(runs, {"advantage_scaling.gamma": [1], "algorithm": ["grpo"], "seed": [2]})
    assert {run.arm for run in some} == {"gamma=1,n=4", "gamma=1,n=16"}
    with pytest.raises(UserError, match=r"no run has group_size.n=5: they have 16, 4"):
        chosen(runs, {"group_size.n": [5]})
    with pytest.raises(UserError, match=r"no run has a key 'group_size.m'; did you mean group_size.n\?"):
        chosen(runs, {"group_size.m": [8]})


def test_seeds_of_several_kinds_are_no_arm(tmp_path: Path):
    samples = {EASY: [("correct", "")] * 4}
    runs = [RunFiles(write_run(tmp_path, "a", samples, seed=seed, steps=2 + seed)) for seed in (1, 2)]
    with pytest.raises(UserError, match=r"arm 'a' differ in training.steps \(3 and 4\).*training.steps=4"):
        check_seeds(runs)


def test_seeds_that_were_evaluated_otherwise_are_no_arm(tmp_path: Path):
    samples = {EASY: [("correct", "")] * 4}
    keys = {1: "evaluation.sampling.temperature=1", 2: "evaluation.sampling.temperature=0.6"}
    runs = [RunFiles(write_run(tmp_path, "a", samples, seed=s, overrides=[keys[s]])) for s in keys]
    with pytest.raises(UserError, match=r"arm 'a' differ in evaluation.sampling.temperature \(1 and 0.6\)"):
        check_seeds(runs)


def test_a_table_says_which_arms_were_evaluated_otherwise_and_whether_checkpoints_had_a_limit(tmp_path: Path):
    samples = {EASY: [("correct", "")] * 4}
    alike = [RunFiles(write_run(tmp_path, arm, samples)) for arm in ("a", "b")]
    assert otherwise(alike) == ""
    assert "best pass@1 in validation: on other" in choice(TableSpec(), alike)
    keys = ["evaluation.sampling.temperature=0.6", "evaluation.checkpoint=last", "evaluation.latest_step=4"]
    runs = [*alike, RunFiles(write_run(tmp_path, "c", samples, overrides=keys))]
    assert otherwise(runs) == (
        "Not evaluated as the others, which is in their numbers too: c, seed 1: "
        "evaluation.sampling.temperature=0.6, not 1; c, seed 1: evaluation.checkpoint=last, not best."
    )
    assert "best pass@1 in validation, among those up to its baseline's: on" in choice(TableSpec(), runs)
    by_2 = RunFiles(write_run(tmp_path, "d", samples, overrides=["evaluation.select_by=2"]))
    assert "best pass@2 in validation: on other" in choice(TableSpec(), [by_2])
    assert "d, seed 1: evaluation.select_by=2, not 1." in otherwise([*alike, by_2])


def judged(tmp_path: Path, arm: str, seed: int = 1, **key: object) -> RunFiles:
    """A run whose samples say what they are by."""
    run = RunFiles(write_run(tmp_path, arm, {EASY: [("correct", "")] * 4}, seed=seed))
    file = run.samples("countdown_3")
    table = pq.read_table(file)
    whole = {"problems": "ab", "verifiers": {"countdown": "12"}, "engine": "transformers", "seed": seed} | key
    pq.write_table(table.replace_schema_metadata({KEY: json.dumps(whole)}), file)
    return run


def test_a_table_says_which_samples_were_judged_otherwise(tmp_path: Path):
    """Neither verifiers nor references are among the ids of problems, nor all of them in the config."""
    alike = [judged(tmp_path, arm, seed) for arm in ("a", "b") for seed in (1, 2)]
    silent = RunFiles(write_run(tmp_path, "silent", {EASY: [("correct", "")] * 4}))
    assert otherwise([*alike, silent], ["countdown_3"]) == ""
    other = judged(tmp_path, "c", verifiers={"countdown": "34"}, problems="cd", engine="vllm")
    assert otherwise([*alike, silent, other], ["countdown_4"]) == ""
    assert otherwise([*alike, silent, other], ["countdown_3"]) == (
        "Not evaluated as the others, which is in their numbers too: c, seed 1: countdown_3.problems=cd, not "
        "ab; c, seed 1: countdown_3.verifiers=countdown 34, not countdown 12; c, seed 1: "
        "countdown_3.engine=vllm, not transformers."
    )


def test_an_arm_is_called_by_the_runs_that_its_numbers_are_of(tmp_path: Path):
    """Its first seed goes on to 9 steps, and the numbers are those of the second, which has 4."""
    right = {EASY: [("correct", "")]}
    write_run(tmp_path, "a", right, seed=1, steps=9, status="training")
    write_run(tmp_path, "a", right, seed=2, steps=4)
    write_run(tmp_path, "b", right, steps=2)
    arms = grid_of(find_runs(tmp_path / "sweep")).arms
    assert {arm: settings["training.steps"] for arm, settings in arms.items()} == {"a": 4, "b": 2}


def test_samples_of_an_earlier_evaluation_are_none_of_a_tables_numbers(tmp_path: Path):
    """Arm b was asked countdown_3 at step 4, then countdown_4 alone at step 2: its countdown_3 is not run."""
    result = {"domain": "in_domain", "problems": 1, "samples": 4, "pass@k": {"1": 0.5}}
    samples = {EASY: [("correct", ""), ("wrong", "")] * 2}
    both = "benchmark=[countdown_3,countdown_4]"
    runs = [
        write_run(tmp_path, "a", samples, overrides=[both]),
        write_run(tmp_path, "b", samples, overrides=["benchmark=countdown_4"]),
    ]
    for run in runs:
        shutil.copyfile(run / "evaluation/countdown_3.parquet", run / "evaluation/countdown_4.parquet")
    later = {"checkpoint_step": 2, "evaluation": {"countdown_4": result}}
    (runs[1] / "summary.json").write_text(json.dumps(RunFiles(runs[1]).summary | later))

    _, (page, *_) = write_table_of_runs(tmp_path / "sweep", Wish(k=[1]), {}, tmp_path, iterations=50)
    rows = [line.split("|") for line in page.read_text().splitlines() if line.startswith("| ")]
    cells = {row[1].strip(): [cell.split("±")[0].strip() for cell in row[3:5]] for row in rows}
    assert cells["a"] == ["50.0", "50.0"]
    assert cells["b"] == ["not run", "50.0"]


def test_samples_of_an_earlier_last_step_or_checkpoint_are_none_of_a_run(tmp_path: Path):
    """Trained to step 4, its last step was measured at step 2, and its rare answers at step 2 too."""
    run = write_run(tmp_path, "a", {EASY: [("correct", "")]})
    (run / "evaluation-last").mkdir()
    for name in ("evaluation-last/countdown_3", "evaluation/rare-answers"):
        shutil.copyfile(run / "evaluation/countdown_3.parquet", run / f"{name}.parquet")

    def found(step: int) -> list[bool]:
        last = {"evaluated": {"step": step}, "evaluation": {"countdown_3": {}}}
        summary = RunFiles(run).summary | {"checkpoint_step": 3, "last": last, "rare": {"step": step - 1}}
        (run / "summary.json").write_text(json.dumps(summary))
        files = RunFiles(run)
        return [files.at_last_step().samples("countdown_3") is not None, files.samples(ANSWERS) is not None]

    assert found(4) == [True, True]
    assert found(2) == [False, False]


def test_seeds_that_were_judged_otherwise_are_no_arm(tmp_path: Path):
    alike = [judged(tmp_path, "a", seed) for seed in (1, 2)]
    silent = RunFiles(write_run(tmp_path, "a", {EASY: [("correct", "")] * 4}, seed=3))
    check_seeds([*alike, silent])
    other = judged(tmp_path, "a", 4, verifiers={"countdown": "34"})
    with pytest.raises(
        UserError,
        match=r"arm 'a' differ in countdown_3.verifiers \(countdown 12 and countdown 34\), so they are no "
        r"one arm: `rlvr evaluate run=.*seed-4` measures one again",
    ):
        check_seeds([*alike, other])


def test_a_file_that_takes_an_experiments_runs_takes_seeds_of_one_kind_alone(tmp_path: Path):
    spec = TableSpec(experiment="sweep", arms=[Arm("a")], columns={"in_domain": ["countdown_3"]})
    for seed, rate in ((1, 1e-4), (2, 5e-5)):
        keys = [f"training.learning_rate={rate}"]
        write_run(tmp_path / "runs", "a", {EASY: [("correct", "")] * 4}, seed=seed, overrides=keys)
    with pytest.raises(
        UserError,
        match=r"differ in training.learning_rate \(0.0001 and 5e-05\).*another arm=, or move .*seed-2",
    ):
        render_taken(spec, tmp_path)


def test_any_folder_of_runs_becomes_a_table(sweep: Path, tmp_path: Path):
    wish = Wish(x="n", baseline="gamma=0", k=[1], repeat="rlvr table runs/sweep")
    _, files = write_table_of_runs(sweep, wish, {}, tmp_path, iterations=50)
    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        "tables/sweep-smoke.md",
        "tables/sweep-smoke.csv",
        "tables/sweep-smoke-differences.csv",
        "tables/sweep-smoke-runs.csv",
        "tables/sweep-smoke.tex",
        "figures/sweep-smoke-sweep.png",
        "figures/sweep-smoke-sweep.svg",
        "reports/sweep-smoke.html",
    ]
    page = files[0].read_text()
    rows = [line.split("|") for line in page.splitlines() if "±" in line and line.startswith("|")]
    table = {row[1].strip(): row[-2].split("±")[0].strip() for row in rows}
    assert table == {
        "gamma=0, n=4": "25.0",
        "gamma=0, n=16": "25.0",
        "gamma=1, n=4": "37.5",
        "gamma=1, n=16": "37.5",
        "gamma=1, n=4 − gamma=0, n=4": "+12.5",
        "gamma=1, n=16 − gamma=0, n=16": "+12.5",
    }
    assert "- Repeat: `rlvr table runs/sweep`" in page


def test_a_reward_function_is_called_by_its_name(tmp_path: Path):
    """By the file's too where two have one, and by its digest where the file has changed."""
    samples = {EASY: [("correct", "")] * 2 + [("wrong", "")] * 2}
    mine, yours = tmp_path / "mine.py", tmp_path / "yours.py"
    for file in (mine, yours):
        file.write_text("def short(text, verdict): return 1\ndef plain(text): return 0\n")
    write_run(tmp_path, "a", samples)
    write_run(tmp_path, "b", samples, overrides=[f"reward={mine}:plain"])
    write_run(tmp_path, "c", samples, overrides=[f"reward={mine}:short"])
    runs = find_runs(tmp_path / "sweep")
    wish = Wish(baseline="reward=plain")
    labels = {arm.name: (arm.label, arm.baseline) for arm in table_of_runs(runs, wish).arms}
    assert labels == {"a": ("a", "b"), "b": ("b", None), "c": ("c", "b")}
    grid = grid_of(runs)
    assert [grid.label(arm) for arm in "abc"] == ["reward=correctness", "reward=plain", "reward=short"]
    assert {run.arm for run in chosen(runs, {"reward": ["short", "correctness"]})} == {"a", "c"}

    write_run(tmp_path, "d", samples, overrides=[f"reward={yours}:short"])
    mine.write_text("def plain(text): return 2\n")
    write_run(tmp_path, "e", samples, overrides=[f"reward={mine}:plain"])
    grid = grid_of(find_runs(tmp_path / "sweep"))
    assert [grid.label(arm) for arm in "cd"] == [f"reward={mine}:short", f"reward={yours}:short"]
    assert grid.label("b") != grid.label("e") and grid.label("b").startswith(f"reward={mine}:plain@")
