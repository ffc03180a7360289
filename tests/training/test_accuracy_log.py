import json
from pathlib import Path

import numpy as np
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.training.accuracy_log import AccuracyRecord, accuracy_by_epoch


def test_a_line_counts_right_and_scorable_answers(tmp_path: Path):
    groups = make_groups([[RIGHT, WRONG, LOST], [LOST, LOST]])
    AccuracyRecord(tmp_path).log(3, 0.5, groups)
    assert json.loads((tmp_path / "accuracy.jsonl").read_text()) == {
        "step": 3,
        "epoch": 0.5,
        "accuracy": {"p0": [1, 2], "p1": [0, 0]},
    }


def test_rewinding_forgets_later_steps_and_half_a_line(tmp_path: Path):
    record = AccuracyRecord(tmp_path)
    record.rewind(0)
    for step in (1, 2, 3):
        record.log(step, step / 2, make_groups([[RIGHT]]))
    kept = "".join(record.file.read_text().splitlines(keepends=True)[:2])
    with record.file.open("a") as lines:
        lines.write('{"step": 2, "epo')
    record.rewind(2)
    assert record.file.read_text() == kept


def test_accuracy_by_problem_and_complete_epoch(tmp_path: Path):
    """Two steps an epoch; the second epoch leaves p0 out, the third is not complete."""
    record = AccuracyRecord(tmp_path)
    p0, p1, p2 = ([verdicts] for verdicts in ([RIGHT, WRONG], [RIGHT, RIGHT], [LOST, LOST]))
    for step, answers in enumerate((p0, [[], *p1], [[], *p1], p2, p0), start=1):
        groups = [group for group in make_groups(answers) if group.completions]
        record.log(step, step / 2, groups)
    accuracy = accuracy_by_epoch(record.file, ["p1", "p0", "p2"])
    np.testing.assert_array_equal(accuracy, [[1.0, 1.0], [0.5, np.nan], [np.nan, np.nan]])


def test_no_record_is_no_epoch(tmp_path: Path):
    assert accuracy_by_epoch(tmp_path / "accuracy.jsonl", ["p0", "p1"]).shape == (2, 0)
