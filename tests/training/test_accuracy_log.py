from pathlib import Path

import numpy as np
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.files import step_lines
from rlvr.training.accuracy_log import accuracy_by_epoch, accuracy_of


def log(folder: Path, step: int, epoch: float, groups: list) -> None:
    step_lines.append(folder / "accuracy.jsonl", step, {"epoch": epoch, "accuracy": accuracy_of(groups)})


def test_right_and_scorable_answers_are_counted():
    groups = make_groups([[RIGHT, WRONG, LOST], [LOST, LOST]])
    assert accuracy_of(groups) == {"p0": [1, 2], "p1": [0, 0]}


def test_accuracy_by_problem_and_complete_epoch(tmp_path: Path):
    """Two steps an epoch; the second epoch leaves p0 out, the third is not complete."""
    p0, p1, p2 = ([verdicts] for verdicts in ([RIGHT, WRONG], [RIGHT, RIGHT], [LOST, LOST]))
    for step, answers in enumerate((p0, [[], *p1], [[], *p1], p2, p0), start=1):
        log(tmp_path, step, step / 2, [group for group in make_groups(answers) if group.completions])
    accuracy = accuracy_by_epoch(tmp_path / "accuracy.jsonl", ["p1", "p0", "p2"])
    np.testing.assert_array_equal(accuracy, [[1.0, 1.0], [0.5, np.nan], [np.nan, np.nan]])


def test_no_record_is_no_epoch(tmp_path: Path):
    assert accuracy_by_epoch(tmp_path / "accuracy.jsonl", ["p0", "p1"]).shape == (2, 0)
