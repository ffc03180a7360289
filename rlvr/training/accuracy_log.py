"""accuracy.jsonl: which problems a step asked, and how many of their answers were right; a line a step.

A line is {"step", "epoch", "accuracy": `accuracy_of`}, where `epoch` is the share of epochs drawn once the
step is done: a step of the second epoch has 1 < epoch <= 2. `rlvr select` chooses problems by it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlvr.data import UNSCORABLE, Group
from rlvr.files import step_lines


def accuracy_of(groups: Sequence[Group]) -> dict[str, list[int]]:
    """{problem id: [right, scorable answers]} of the groups of a step."""
    accuracy: dict[str, list[int]] = {}
    for group in groups:
        counts = accuracy.setdefault(group.problem.id, [0, 0])
        counts[0] += sum(verdict == "correct" for verdict in group.verdicts)
        counts[1] += sum(verdict not in UNSCORABLE for verdict in group.verdicts)
    return accuracy


def accuracy_by_epoch(file: Path, problem_ids: Sequence[str]) -> np.ndarray:
    """Share of right answers of each problem in each complete epoch of a run.

    Returns:
        float64 [problems, epochs], in the order of `problem_ids`; NaN where no answer could be scored or
        the problem was not asked. An epoch that the run did not complete is left out.
    """
    steps = step_lines.read(file)
    epochs = math.floor(steps[-1]["epoch"]) if steps else 0
    row = {problem_id: index for index, problem_id in enumerate(problem_ids)}
    right, scorable = np.zeros((2, len(row), epochs))
    for step in steps:
        epoch = math.ceil(step["epoch"]) - 1
        if epoch < epochs:
            for problem_id, counts in step["accuracy"].items():
                right[row[problem_id], epoch] += counts[0]
                scorable[row[problem_id], epoch] += counts[1]
    return np.divide(right, scorable, where=scorable > 0, out=np.full(right.shape, np.nan))
