"""Names that a terminal or Rich would take for more than names are shown as they are."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlvr.cli.main import main
from rlvr.config import Config, load_config, run_directory, to_yaml
from rlvr.files.run_directory import read_summary
from rlvr.runs.display import Display, fraction_done, time_left
from rlvr.runs.outcome import print_outcome

HOSTILE = "[/x]\x1b[2J[red]"
SHOWN = "[/x]·[2J[red]"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(load_config(["scale=smoke", f"runs={tmp_path}", "training.steps=4"]), arm=HOSTILE)


@pytest.fixture
def evaluated(config: Config, tmp_path: Path) -> Path:
    """A run whose benchmark has a name like that, two problems of two samples."""
    folder = tmp_path / "run"
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(replace(config, arm="[x]")))  # a hostile one is not read
    samples = {"problem_id": ["a", "a", "b", "b"], "verdict": ["correct", "wrong", "correct", "correct"]}
    table = pa.table({**samples, "num_tokens": [1, 2, 3, 4]})
    pq.write_table(table, folder / "evaluation" / f"{HOSTILE.replace('/', '')}.parquet")
    name = HOSTILE.replace("/", "")
    result = {"domain": "in_domain", "problems": 2, "samples": 2, "pass@k": {"1": 0.75, "2": 1.0}}
    summary = {"status": "finished", "checkpoint_step": 4, "evaluation": {name: result}}
    (folder / "summary.json").write_text(json.dumps({**summary, "seconds": {"evaluation": 2.0}}))
    return folder


def test_without_a_terminal_progress_is_a_line_now_and_then(
    config: Config, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_COLOR", "1")
    path = run_directory(replace(config, arm="plain"))
    path.mkdir(parents=True)
    with Display([(config, path)], pause=0):
        progress = {"stage": "training", "done": 2, "total": 4, "time": 0.0}
        (path / "progress.json").write_text(json.dumps(progress))
    assert re.search(r"^40 %, \d+ s left, training 2/4$", capsys.readouterr().err, re.MULTILINE)


def test_a_finished_run_that_is_asked_for_more_steps_is_not_done(config: Config, tmp_path: Path):
    (tmp_path / "progress.json").write_text(json.dumps({"stage": "evaluation", "done": 7, "total": 7}))
    summary = {"status": "finished", "trained_steps": 4}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    before = json.loads((tmp_path / "progress.json").read_text())
    assert fraction_done(config, tmp_path, before) == ("done before", 1.0)
    longer = replace(config, training=replace(config.training, steps=8))
    assert fraction_done(longer, tmp_path, before) == ("waiting", 0.0)


def test_time_left_is_that_of_the_pace_since_the_start():
    """Half done of which a tenth was there before: 40 % took 80 s, so the other half takes 100."""
    assert time_left(0.5, 0.1, 80) == "2 min left"
    assert time_left(0.5, 0.1, 40) == "50 s left"
    assert time_left(0.11, 0.1, 40) == ""
    assert time_left(1.0, 0.0, 40) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_report_shows_on_a_terminal_that_it_is_being_written(
    terminal: bool, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    monkeypatch.setattr("rlvr.report.find_runs", lambda _: [])
    monkeypatch.setattr("rlvr.report.write_report", lambda _, file: [file.write_text("page"), file][1])
    main(["report", str(tmp_path)])
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'report.html'} (0.0 MB)\n"
    assert ("writing the report of" in said.err) == terminal
    assert terminal or not said.err


@pytest.mark.parametrize("terminal", [True, False])
def test_an_arms_name(
    config: Config, terminal: bool, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    path = run_directory(replace(config, arm="plain"))
    path.mkdir(parents=True)
    with Display([(config, path)]):
        progress = {"stage": "training", "done": 2, "total": 4, "time": 0.0}
        (path / "progress.json").write_text(json.dumps(progress))
    said = capsys.readouterr().err
    assert f"{SHOWN} seed 1" in said
    assert "training 2/4" in said
    assert "\x1b[2J" not in said


def test_a_benchmarks_name_in_the_results(config: Config, evaluated: Path, capsys: pytest.CaptureFixture):
    print_outcome([(config, evaluated)])
    said = capsys.readouterr().out
    assert "[x]·[2J[red]" in said
    assert "75.0±25.0  100.0±33.3" in said
    assert "\x1b" not in said


def test_names_in_the_watch(evaluated: Path, capsys: pytest.CaptureFixture):
    (evaluated / "progress.json").write_text(
        json.dumps({"stage": HOSTILE, "done": 1, "total": 2, "time": 1e12})
    )
    main(["watch", str(evaluated), "--once"])
    said = capsys.readouterr().out
    assert "[x]·[2J[red]" in said
    summary = read_summary(evaluated)
    (evaluated / "summary.json").write_text(json.dumps(summary | {"status": "trained"}))
    main(["watch", str(evaluated), "--once"])
    said += capsys.readouterr().out
    assert f"{SHOWN} 1/2" in said
    assert "\x1b" not in said
