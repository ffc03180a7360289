"""accuracy.jsonl: which problems a step asked, and how many of their answers were right; a line a step.

A line is {"step", "epoch", "accuracy": `accuracy_of`}, where `epoch` is the share of epochs drawn once the
step is done: a step of the second epoch has 1 < epoch <= 2. `rlvr select` chooses problems by it.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.data import UNSCORABLE, Group
from rlvr.files import step_lines
from rlvr.problems import ids_of


def accuracy_of(groups: Sequence[Group]) -> dict[str, list[int]]:
    """{problem id: [right, scorable answers]} of the groups of a step."""
    accuracy: dict[str, list[int]] = {}
    for group in groups:
        counts = accuracy.setdefault(group.problem.id, [0, 0])
        counts[0] += sum(verdict == "correct" for verdict in group.verdicts)
        counts[1] += sum(verdict not in UNSCORABLE for verdict in group.verdicts)
    return accuracy


def accuracy_by_epoch(file: Path, curriculum: ShuffledCurriculum) -> np.ndarray:
    """Share of right answers of each problem in each complete epoch of a run.

    Args:
        curriculum: that of the run, which says what was asked when in a step of dynamic sampling that reaches
            from one epoch into the next; a problem that it asked in both has the share of the step in both.

    Returns:
        float64 [problems, epochs], in the order of the curriculum's problems; NaN where no answer could be
        scored or the problem was not asked. An epoch that the run did not complete is left out.
    """
    steps = step_lines.read(file)
    epochs = math.floor(steps[-1]["epoch"]) if steps else 0
    row = {problem_id: index for index, problem_id in enumerate(ids_of(curriculum.problems))}
    right, scorable = np.zeros((2, len(row), epochs))
    before = 0.0
    for step in steps:
        first, last = math.floor(before), math.ceil(step["epoch"]) - 1
        asked = [(problem_id, last) for problem_id in step["accuracy"]]
        if first < last:
            asked = _asked(curriculum, before, step["epoch"])
        for problem_id, epoch in asked:
            if epoch < epochs:
                counts = step["accuracy"][problem_id]
                right[row[problem_id], epoch] += counts[0]
                scorable[row[problem_id], epoch] += counts[1]
        before = step["epoch"]
    return np.divide(right, scorable, where=scorable > 0, out=np.full(right.shape, np.nan))


def _asked(curriculum: ShuffledCurriculum, after: float, until: float) -> list[tuple[str, int]]:
    """The ids of the problems drawn between two shares of epochs, each with its epoch, from 0."""
    drawn = [round(epochs * curriculum.batches_per_epoch) for epochs in (after, until)]
    asked = []
    for batch in range(*drawn):
        curriculum.load_state_dict({"drawn": batch})
        epoch = int(curriculum.epoch)
        asked += [(problem.id, epoch) for problem, _ in curriculum.next_batch()]
    return asked
