"""Which problems to keep, from how their accuracy went over the epochs of a run (LIMR, arXiv 2502.11886).

All functions take a float array [problems, epochs] of shares of right answers in [0, 1], NaN where a
problem was not asked in an epoch, and give NaN scores to problems that still have a gap.
"""

import numpy as np

from rlvr.errors import UserError


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
