from pathlib import Path

import numpy as np
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.data import Problem
from rlvr.files import step_lines
from rlvr.training.accuracy_log import accuracy_by_epoch, accuracy_of


def curriculum(*names: str) -> ShuffledCurriculum:
    """Asks one problem a batch."""
    problems = [Problem(name, "test", (), "", "expression") for name in names]
    return ShuffledCurriculum(problems, group_size=lambda _: 2, batch_size=1, seed=0)


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
    accuracy = accuracy_by_epoch(tmp_path / "accuracy.jsonl", curriculum("p1", "p0", "p2"))
    np.testing.assert_array_equal(accuracy, [[1.0, 1.0], [0.5, np.nan], [np.nan, np.nan]])


def test_no_record_is_no_epoch(tmp_path: Path):
    assert accuracy_by_epoch(tmp_path / "accuracy.jsonl", curriculum("p0", "p1")).shape == (2, 0)


def test_a_step_of_dynamic_sampling_may_reach_into_the_next_epoch(tmp_path: Path):
    """One problem a batch and two batches a step: of three problems the second step asks the last one of the
    first epoch and the first one of the second, which is right then."""
    drawn = curriculum("p0", "p1", "p2")
    asked = [problem.id for _ in range(6) for problem, _ in drawn.next_batch()]
    assert asked[2] != asked[3]  # or the step would have asked one problem twice
    right = [True, True, False, True, False, False]
    for step in range(3):
        answers = {asked[i]: [int(right[i]), 1] for i in (2 * step, 2 * step + 1)}
        values = {"epoch": (2 * step + 2) / 3, "accuracy": answers}
        step_lines.append(tmp_path / "accuracy.jsonl", step + 1, values)
    accuracy = accuracy_by_epoch(tmp_path / "accuracy.jsonl", curriculum("p0", "p1", "p2"))
    by_hand = {(name, i // 3): float(right[i]) for i, name in enumerate(asked)}
    np.testing.assert_array_equal(accuracy, [[by_hand[f"p{i}", epoch] for epoch in (0, 1)] for i in range(3)])
