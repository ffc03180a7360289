"""Holm's correction for the number of differences, from what a table's file says of each."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

ALPHA = 0.05
TO_ERROR = 2 * norm.ppf(0.975)  # the width of a 95 % interval over the standard error


def holm_intervals(
    values: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    freedoms: Sequence[float],
    number: int | None = None,
) -> list[tuple[float, float]]:
    """Intervals at the levels of Holm's step-down test (1979), in the order given.

    One is without zero just where the test rejects: with 95 % no difference of the family that is truly zero
    is called anything else. That they hold all at once is not said, which alpha / m for each would take.

    The standard error is read off the 95 % bootstrap interval over problems and training seeds. The
    difference with the smallest p-value is held against alpha / m, the next against alpha / (m - 1), and from
    the first that fails on all have its level.

    Args:
        values, lows, highs: of each difference that was measured, its 95 % interval.
        freedoms: Student's t's degrees of freedom of each, 1 or more.
        number: m, of differences in the family, also those not measured; by default those given.
    """
    value = np.asarray(values, dtype=float)
    freedom = np.asarray(freedoms)
    error = (np.asarray(highs) - np.asarray(lows)) / TO_ERROR
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(value == 0, 0.0, np.abs(value) / error)
    p_values = 2 * student_t.sf(statistic, freedom)
    left = number or len(value)
    level = ALPHA / max(left, 1)
    levels = np.empty(len(value))
    rejects = True
    for index in np.argsort(p_values, kind="stable"):
        if rejects:
            level = ALPHA / left
            rejects = bool(p_values[index] <= level)
            left -= 1
        levels[index] = level
    half = student_t.ppf(1 - levels / 2, freedom) * error
    return list(zip((value - half).tolist(), (value + half).tolist(), strict=True))
