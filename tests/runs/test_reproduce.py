"""The main command, end to end on the real path, tiny."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tiny_runs import tiny

from rlvr.config import run_directory, to_yaml
from rlvr.curriculum.lim import Selection, write_selection
from rlvr.errors import UserError
from rlvr.runs.reproduce import is_shorter, refuse_other_settings
from rlvr.runs.schedule import ScheduledRun, baselines_of, schedule_runs
from rlvr.tables.spec import Arm, Select, TableSpec

TINY = [
    "table=fgrpo/table1",
    "scale=smoke",
    "tracking=local",
    "training.steps=2",
    "training.checkpoint_every=1",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    *(f"benchmark.tasks.countdown_{name}.size=4" for name in ("3", "4", "5", "add", "large")),
    "benchmark.tasks.chain_sum.size=4",
    "benchmark.tasks.gcd.size=4",
]


def reproduce(results: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "rlvr", "reproduce", *TINY, f"results={results}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def table(results: Path) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / "fgrpo-table1-smoke.csv")


@pytest.mark.slow
def test_a_killed_reproduction_ends_with_the_same_table(tmp_path: Path):
    whole = reproduce(tmp_path / "whole")
    printed, said = whole.communicate()
    assert whole.returncode == 0, said
    assert "F-GRPO" in printed

    killed = reproduce(tmp_path / "killed", start_new_session=True)
    arm = tmp_path / "killed" / "runs" / "fgrpo" / "table1" / "smoke" / "grpo"
    while not (arm / "seed-1" / "checkpoints" / "step-000001").exists() and killed.poll() is None:
        time.sleep(0.01)
    second = reproduce(tmp_path / "killed")
    refusal = second.communicate()[1]
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert second.returncode == 2
    assert f"is being reproduced by process {killed.pid}" in refusal
    assert not (tmp_path / "killed" / "tables").exists()

    resumed = reproduce(tmp_path / "killed")
    assert resumed.communicate()[0].startswith("GRPO")
    assert resumed.returncode == 0
    pd.testing.assert_frame_equal(table(tmp_path / "killed"), table(tmp_path / "whole"))

    again = reproduce(tmp_path / "killed")
    assert "11 of them finished" in again.communicate()[1]
    figures = [file.name for file in (tmp_path / "whole" / "figures").iterdir()]
    assert {Path(name).suffix for name in figures} == {".png", ".svg"}


def test_runs_of_other_settings_than_those_given_are_not_the_tables(tmp_path: Path, capsys):
    """A key that was not given is not asked about: what a scale says now may not be what it said then."""
    config = tiny(tmp_path)
    directory = run_directory(config)
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(to_yaml(config))
    summary = {"status": "finished", "trained_steps": 2}
    (directory / "summary.json").write_text(json.dumps(summary))

    def scheduled(*overrides: str) -> ScheduledRun:
        return ScheduledRun(Arm("tiny"), 1, [], tiny(tmp_path, *overrides))

    same, other, longer = scheduled(), scheduled("training.weight_decay=0.3"), scheduled("training.steps=4")

    def refuse(runs: list[ScheduledRun], *given: str, evaluated: bool = True) -> None:
        refuse_other_settings(runs, given, evaluated=evaluated)

    refuse([same, longer], "training.weight_decay=0.1", "training.steps=4")
    refuse([other], "training.steps=2")
    cooler = scheduled(given := "evaluation.sampling.temperature=0.6")
    refuse([cooler], given, evaluated=False)
    with pytest.raises(
        UserError, match=r"a run with evaluation.sampling.temperature=1.0, not 0.6: leave out"
    ):
        refuse([cooler], given)
    for given in ("training.weight_decay=0.3", "training={}"):
        with pytest.raises(UserError, match=r"a run with training.weight_decay=.*, not 0.3: give another"):
            refuse([same, other], given)
    assert [is_shorter(run) for run in (same, longer)] == [False, True]
    assert "is left out: it has 2 steps of the 4 that are asked for" in capsys.readouterr().err


def stored_run(run: ScheduledRun) -> None:
    """Leave the folder of a finished run."""
    run.directory.mkdir(parents=True)
    (run.directory / "config.yaml").write_text(to_yaml(run.config))
    (run.directory / "summary.json").write_text(json.dumps({"status": "finished"}))
    (run.directory / "provenance.json").write_text(json.dumps({"seed": run.seed}))


def test_runs_of_a_table_whose_file_was_edited_since_are_not_the_tables(tmp_path: Path):
    """Its own overrides, and those of its arms: the page would have the numbers of what it said then."""
    base = ["experiment=mine/smoke", "scale=smoke", f"runs={tmp_path}"]

    def schedule(gamma: float, *overrides: str, scale: str = "scale=smoke") -> list[ScheduledRun]:
        focal = ["advantage_scaling=focal", f"advantage_scaling.gamma={gamma}"]
        spec = TableSpec(overrides=list(overrides), arms=[Arm("grpo"), Arm("focal", overrides=focal)])
        return schedule_runs(spec, [1, 2], [scale if one == "scale=smoke" else one for one in base])

    for run in schedule(0.5, "training.weight_decay=0.1"):
        stored_run(run)
    for same in (
        schedule(0.5),
        schedule(0.5, "training.weight_decay=0.1"),
        schedule(0.5, scale="scale=laptop"),
    ):
        refuse_other_settings(same, [], evaluated=False)
    with pytest.raises(
        UserError,
        match=r"focal/seed-1 holds a run with advantage_scaling.gamma=0.5, not 2.0 as arm 'focal' of the "
        r"table's file has it: give the table another name, or remove that folder$",
    ):
        refuse_other_settings(schedule(2.0), [], evaluated=False)
    with pytest.raises(
        UserError, match=r"grpo/seed-1 .*weight_decay=0.1, not 0.3 as arm 'grpo' of the table's"
    ):
        refuse_other_settings(schedule(0.5, "training.weight_decay=0.3"), [], evaluated=True)
    cooler = schedule(0.5, "evaluation.sampling.temperature=0.6")
    refuse_other_settings(cooler, [], evaluated=False)
    with pytest.raises(
        UserError, match=r"temperature=1.0, not 0.6 as arm .*: leave out --render, give the table"
    ):
        refuse_other_settings(cooler, [], evaluated=True)


def test_runs_on_another_selection_than_the_tables_file_asks_for_are_not_the_tables(tmp_path: Path):
    def schedule(runs: Path = tmp_path, **select: float | str) -> list[ScheduledRun]:
        lim = Arm("lim", overrides=["curriculum=lim"], select=Select(**({"from_": "full"} | select)))
        base = ["experiment=mine/smoke", "scale=smoke", f"runs={runs}"]
        return schedule_runs(TableSpec(arms=[Arm("full"), Arm("other"), lim]), [1], base)

    full, _, lim = schedule(share=0.5)
    chosen = Selection("lim", "data", str(full.directory), {"share": 0.5}, 0.0, ["p"], {"p": 1.0})
    for run in (full, lim):
        stored_run(run)
    provenance = {"seed": 1, "contents": {"the selection": chosen.fingerprint()}}
    (lim.directory / "provenance.json").write_text(json.dumps(provenance))
    refuse_other_settings([lim], [], evaluated=True)  # its file has gone: nothing can be told
    write_selection(chosen, Path(lim.config.curriculum.selection))
    refuse_other_settings(schedule(share=0.5), [], evaluated=True)
    for select, said in (
        ({"share": 0.2}, "select.share=0.5, not 0.2 as arm 'lim' of the table's"),
        ({"threshold": 0.7}, "select.threshold=None, not 0.7 as"),
        ({"share": 0.5, "epochs": 2}, "select.epochs=None, not 2 as"),
        ({"share": 0.5, "from_": "other"}, "select.from=full, not other as"),
    ):
        with pytest.raises(UserError, match=said):
            refuse_other_settings(schedule(**select), [], evaluated=True)
    (link := tmp_path / "moved").symlink_to(tmp_path)
    refuse_other_settings(schedule(link, share=0.5), [], evaluated=True)
    write_selection(
        replace(chosen, selected=["q"], settings={"share": 0.2}), full.directory / "selection-lim.json"
    )
    refuse_other_settings(schedule(share=0.5), [], evaluated=True)  # that file is another arm's by now


def test_an_arm_takes_its_own_best_checkpoint_unless_its_table_says_otherwise(tmp_path: Path):
    """A limit at the baseline's choice favours the arm, so nobody has it who did not ask."""
    arms = [Arm("grpo"), Arm("f-grpo", baseline="grpo")]
    plain, focal = runs = [ScheduledRun(arm, 1, [], tiny(tmp_path)) for arm in arms]
    for said in ({}, {"checkpoint": "best"}):
        assert baselines_of(TableSpec(arms=arms, **said), runs) == {}
    ((arm, against),) = baselines_of(TableSpec(arms=arms, checkpoint="baseline"), runs).items()
    assert arm is focal and against is plain


@pytest.mark.slow
def test_two_tables_share_an_arm_that_is_trained_once(tmp_path: Path):
    common = {"metrics": ["pass@1", "pass@4"], "columns": {"in_domain": ["countdown_3"]}, "figures": []}
    common |= {"checkpoint": "best", "last_step": True}
    arms = [{"name": "base", "overrides": ["training.steps=0"]}, {"name": "grpo"}]
    one = common | {"title": "One", "arms": arms, "rates": {"arms": ["grpo"], "times": [2]}}
    taken = {"name": "plain", "label": "Plain", "of": "grpo"}
    other = {"name": "f-grpo", "baseline": "plain", "overrides": ["advantage_scaling=focal"]}
    two = common | {"title": "Two", "shares": "own/one", "arms": [taken, other]}
    folder = tmp_path / "experiments" / "own"
    folder.mkdir(parents=True)
    for name, content in (("one", one), ("two", two)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    tiny = ["benchmark=countdown_3", "benchmark.tasks.countdown_3.size=4", *TINY[2:7], "evaluation.k=[1,4]"]
    for name in ("one", "two"):
        keys = [f"table=own/{name}", f"experiments={folder.parent}", "scale=smoke", f"results={tmp_path}"]
        command = [sys.executable, "-m", "rlvr", "reproduce", *keys, *tiny]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    runs = tmp_path / "runs" / "own"
    assert {path.name for path in (runs / "one" / "smoke").iterdir() if path.is_dir()} == {
        *("base", "grpo", "grpo-x2"),
    }
    assert (runs / "two" / "smoke" / "f-grpo").is_dir() and not (runs / "two" / "smoke" / "plain").exists()
    tables = tmp_path / "tables"
    first, second = (pd.read_csv(tables / f"own-{name}-smoke.csv") for name in ("one", "two"))
    of_grpo, of_plain = (
        table[table["arm"] == arm]["value"].tolist() for table, arm in ((first, "grpo"), (second, "plain"))
    )
    assert of_grpo == of_plain
    where = pd.read_csv(tables / "own-two-smoke-runs.csv").set_index("arm")["folder"]
    assert where["plain"] == (runs / "one" / "smoke" / "grpo" / "seed-1").as_posix()
    rates = pd.read_csv(tables / "own-one-smoke-rates.csv")
    assert rates[rates["k"] == 1]["rate"].tolist() == [1e-4, 2e-4]
    page = (tables / "own-two-smoke.md").read_text()
    assert "At the last step instead of the chosen checkpoint" in page
    assert "on other problems than these, of the same generators" in page
    audit = subprocess.run(
        [sys.executable, "-m", "tests.audit", tables / "own-two-smoke.csv"], capture_output=True, text=True
    )
    assert audit.returncode == 0, audit.stdout


@pytest.mark.slow
def test_arms_that_were_not_asked_for_stand_in_the_table_as_not_run(tmp_path: Path):
    """And asked for later they join those that are there, which are not run again."""
    arms = [
        {"name": "base", "overrides": ["training.steps=0"]},
        {"name": "grpo"},
        {"name": "f-grpo", "baseline": "grpo", "overrides": ["advantage_scaling=focal"]},
    ]
    table = {"title": "Mine", "metrics": ["pass@1", "pass@4"], "columns": {"in_domain": ["countdown_3"]}}
    file = tmp_path / "experiments" / "own" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(table | {"arms": arms, "figures": []}))
    keys = ["table=own/mine", f"experiments={file.parents[1]}", "scale=smoke", f"results={tmp_path}"]
    keys += ["benchmark=countdown_3", "benchmark.tasks.countdown_3.size=4", *TINY[2:7], "evaluation.k=[1,4]"]
    page, runs = tmp_path / "tables" / "own-mine-smoke.md", tmp_path / "runs" / "own" / "mine" / "smoke"

    def there(*given: str) -> set[str]:
        command = [sys.executable, "-m", "rlvr", "reproduce", *keys, *given]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return {path.parent.parent.name for path in runs.glob("*/seed-1/summary.json")}

    assert there("arms=f-*") == {"f-grpo"}
    first = page.read_text()
    assert there("--render") == {"f-grpo"} and page.read_text() == first
    assert next(line for line in first.splitlines() if line.startswith("| grpo ")).count("not run") == 1
    trained = (runs / "f-grpo" / "seed-1" / "metrics.jsonl").stat().st_mtime_ns
    assert there("arms=base,grpo") == {"base", "grpo", "f-grpo"}
    assert (runs / "f-grpo" / "seed-1" / "metrics.jsonl").stat().st_mtime_ns == trained
    assert "not run" not in page.read_text()
