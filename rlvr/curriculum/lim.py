"""LIM (LIMR, arXiv 2502.11886): score problems by how their accuracy went over a run, and keep some.

`rlvr select` makes a selection from a run on all of the data (`rlvr.runs.select`); `curriculum=lim`,
`linear` and `random_subset` train on it.

Scores take a float array [problems, epochs] of shares of right answers in [0, 1], NaN where a problem was
not asked in an epoch, and give NaN to problems that still have a gap.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rlvr.config import Config
from rlvr.config.registry import takes
from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import fingerprint_of
from rlvr.files.run_files import read_whole_json, sealed_json
from rlvr.files.shapes import NUMBER
from rlvr.problems.lazy import ids_of


def fill_gaps(accuracy: np.ndarray) -> np.ndarray:
    """A missing epoch takes the next epoch's measured value, if there is one.

    This is what LIMR's code does: two misses in a row leave the first one open, and so does a miss in
    the last epoch.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    following = np.hstack([accuracy[:, 1:], np.full((len(accuracy), 1), np.nan)])
    return np.where(np.isnan(accuracy), following, accuracy)


def learning_impact(accuracy: np.ndarray) -> np.ndarray:
    """How closely each problem's accuracy follows the average problem's: LIM's score.

    s_i = 1 - sum_k (r_i^k - m^k)^2 / sum_k (1 - m^k)^2, with m^k the average of epoch k over the problems
    without a gap (LIMR, section 2). 1 is the average curve itself, 0 a problem solved in every epoch.

    Returns:
        [problems], at most 1.

    Raises:
        UserError: if the average is 1 in every epoch, so that there is nothing to compare with.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    complete = ~np.isnan(accuracy).any(axis=1)
    _require(complete, accuracy.shape[1], 1)
    average = accuracy[complete].mean(axis=0)
    scale = ((1 - average) ** 2).sum()
    if scale == 0:
        raise UserError("every problem was solved in every epoch: learning impact needs one that was not")
    return 1 - ((accuracy - average) ** 2).sum(axis=1) / scale


def steady_improvement(accuracy: np.ndarray) -> np.ndarray:
    """How steadily each problem's accuracy rises: its correlation with the epoch's number, in [-1, 1].

    LIMR's "LINEAR" baseline keeps problems that improve steadily but gives no formula; this one is ours.
    A curve that never changes scores 0.

    Returns:
        [problems].
    """
    accuracy = np.asarray(accuracy, dtype=float)
    _require(~np.isnan(accuracy).any(axis=1), accuracy.shape[1], 2)
    epochs = np.arange(accuracy.shape[1]) - (accuracy.shape[1] - 1) / 2
    deviation = accuracy - accuracy.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(deviation, axis=1) * np.linalg.norm(epochs)
    changed = np.ptp(accuracy, axis=1) != 0  # NaN counts as changed, and stays NaN
    return np.divide(deviation @ epochs, norms, where=changed, out=np.zeros(len(accuracy)))


def _require(complete: np.ndarray, epochs: int, minimum: int) -> None:
    if epochs < minimum:
        raise UserError(f"{epochs} epochs of accuracy: accepted are {minimum} or more")
    if not complete.any():
        raise UserError(f"none of {len(complete)} problems has an accuracy in each of {epochs} epochs")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a selection file holds.

    Attributes:
        method: "lim", "linear" or "random_subset".
        data: `fingerprint_of` the ids of all problems that it was chosen from, in order.
        run: the run whose accuracies were looked at.
        settings: what the method was given: threshold or share, epochs; of a random subset its size and seed,
            and what LIM was given where the size is that of its choice.
        flops: spent by that run, as far as the method needs it: nothing for a random subset.
        selected: ids, in the order of the data.
        scores: problem id -> score; problems without one are left out.
    """

    method: str
    data: str
    run: str
    settings: dict[str, float | int]
    flops: float
    selected: list[str]
    scores: dict[str, float]

    def fingerprint(self) -> str:
        """Of what is trained on."""
        return fingerprint_of(self.selected)


SELECTION = {
    **dict.fromkeys(("method", "data", "run"), str),
    **{"settings": dict, "flops": NUMBER, "selected": [str], "scores": {"*": NUMBER}},
}


def needs_selection(config: Config) -> bool:
    """Whether the curriculum is of the problems that a file selects."""
    return "selected" in takes("curricula", config.curriculum.name)


def read_selection(file: Path) -> Selection:
    return Selection(**read_whole_json(file, SELECTION))


def load_selection(config: Config, problems: Sequence[Problem]) -> Selection | None:
    """The selection that a config's curriculum needs; None where it needs none.

    Raises:
        UserError: if it is not there, was made by another method, or from other problems than these.
    """
    if not needs_selection(config):
        return None
    method, file = config.curriculum.name, config.curriculum.selection
    if file is None or not Path(file).exists():
        raise UserError(
            f"curriculum={method} needs curriculum.selection=<file>, given is {file}: "
            f"make one with `rlvr select method={method} run=<a run on all of the data>`"
        )
    selection = read_selection(Path(file))
    if selection.method != method:
        raise UserError(
            f"{file} was made with method={selection.method}: accepted is curriculum={selection.method}, "
            f"not {method}"
        )
    if selection.data != fingerprint_of(ids_of(problems)):
        raise UserError(
            f"{file} was selected from another data set than data={config.data.name} with data.size="
            f"{config.data.size}: select again from a run on this data"
        )
    if not selection.selected or set(selection.selected) - set(ids_of(problems)):
        raise UserError(f"{file} selects no problem, or one that is not in data={config.data.name}")
    return selection


def write_selection(selection: Selection, file: Path) -> None:
    write_whole(file, sealed_json(asdict(selection)))


def selected_curriculum(
    problems: Sequence[Problem],
    selected: Collection[str],
    group_size: Callable[[Problem], int],
    batch_size: int,
    run_seed: int,
    *,
    selection: str | None = None,
) -> ShuffledCurriculum:
    """The selected problems in random order, as `curriculum=lim`, `linear` and `random_subset`.

    Args:
        selection: the file that `rlvr select` wrote; its ids are `selected`.
    """
    kept = [problem for problem in problems if problem.id in selected]
    return ShuffledCurriculum(kept, group_size=group_size, batch_size=batch_size, seed=run_seed)
