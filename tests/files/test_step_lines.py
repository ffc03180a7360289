"""Of rollouts.jsonl, which is large, only the lines that are wanted are parsed."""

import json
from pathlib import Path

import pytest
from reported_runs import EASY, write_run

from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.run_files import RunFiles
from rlvr.report.training_groups import training_groups
from rlvr.tracking.watch import look

COMPLETION = {"verdict": "correct", "tokens": ["3"], "advantage": 1.0, "weights": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that recorded a group at each of 30 steps."""
    folder = write_run(tmp_path, "grpo", {EASY: [("correct", "1+2")]})
    for step in range(1, 31):
        group = {"prompt": f"of step {step}", "completions": [COMPLETION]}
        step_lines.append(folder / "rollouts.jsonl", step, {"groups": [group]})
    return folder


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of the lines with groups that are parsed, each time that one is."""
    steps: list[int] = []
    loads = json.loads

    def record(text: str | bytes, **keys):
        values = loads(text, **keys)
        if isinstance(values, dict) and "groups" in values:
            steps.append(values["step"])
        return values

    monkeypatch.setattr(json, "loads", record)
    return steps


def test_whoever_watches_parses_the_last_line(folder: Path, parsed: list[int]):
    with (folder / "rollouts.jsonl").open("a") as lines:
        lines.write('{"step": 31, "groups": [{"prom')
    assert look(folder).group["prompt"] == "of step 30"
    assert parsed == [30]


def test_a_step_without_groups_does_not_hide_the_one_before(folder: Path, parsed: list[int]):
    step_lines.append(folder / "rollouts.jsonl", 31, {"groups": []})
    assert look(folder).group["step"] == 30
    assert parsed == [31, 30]


def test_a_last_line_that_is_whole_and_damaged_is_said(folder: Path):
    with (folder / "rollouts.jsonl").open("a") as lines:
        lines.write('{"step": 31, "groups": [{"prom\n')
    with pytest.raises(UserError, match=r"line 31 of .*rollouts\.jsonl is damaged"):
        look(folder)


def test_a_report_parses_the_steps_that_it_shows(folder: Path, parsed: list[int]):
    shown = [group["step"] for group in training_groups([RunFiles(folder)])]
    assert shown == parsed == [1, 5, 9, 13, 18, 22, 26, 30]


def test_lines_of_some_steps_are_dropped_without_parsing_any(folder: Path, parsed: list[int]):
    file = folder / "rollouts.jsonl"
    kept = [line for line in file.read_text().splitlines() if '"step": 3,' not in line]
    step_lines.drop(file, {3, 99})
    assert file.read_text().splitlines() == kept
    written = file.stat().st_ino
    step_lines.drop(file, {3, 99})
    assert (parsed, len(kept), file.stat().st_ino) == ([], 29, written)
    step_lines.append(file, 31, {})
    step_lines.drop(file, {31})
    assert file.read_text().splitlines() == kept
