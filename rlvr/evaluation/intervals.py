"""How sure a mean over problems and training seeds is: the bootstrap."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, t

from rlvr.errors import UserError


class Estimate(NamedTuple):
    """A value and its interval."""

    value: float
    low: float
    high: float


LEVEL = 0.95  # of all intervals
AS_NONE = 5e-4  # a share below it is printed as 0.0 %


def bootstrap_interval(per_problem_values: ArrayLike, *, iterations: int = 10_000, seed: int = 0) -> Estimate:
    """The mean over problems and training seeds with its 95 % percentile bootstrap interval.

    It says how the mean would vary with other problems of the same kind, other samples of the same
    policy (the values of the problems carry their noise) and, from two seeds on, other training seeds.
    With one seed it says nothing about training; with fewer than about five it is still too narrow there,
    since no resampling can show a spread that a handful of runs did not. Where all values are 0, or all 1,
    there is nothing to resample and the interval has no width: see `share_interval`. Of one problem there is
    no interval: its bounds are NaN.

    Args:
        per_problem_values: [problems] or [seeds, problems], such as the pass@k of each problem under each
            seed; differences between two arms for a paired interval.
        iterations: how many resampled means.
        seed: of the resampling; the same seed gives the same interval.

    Raises:
        UserError: if there is no value, or one is not finite.
    """
    values = np.atleast_2d(np.asarray(per_problem_values, dtype=float))
    if values.ndim > 2 or values.size == 0 or not np.isfinite(values).all():
        raise UserError(
            f"bootstrap_interval got an array of shape {np.shape(per_problem_values)} with "
            f"{np.sum(~np.isfinite(values))} values that are not finite: accepted are finite values, "
            "[problems] or [seeds, problems]"
        )
    seeds, problems = values.shape
    means = resampled_means(
        values,
        problem_weights=resampling_weights(problems, iterations, [seed, 0]),
        seed_weights=resampling_weights(seeds, iterations, [seed, 1]),
    )
    return Estimate(float(values.mean()), *map(float, percentile_interval(means)))


def share_interval(per_problem_values: ArrayLike, *, iterations: int = 10_000) -> Estimate:
    """`bootstrap_interval` of values in [0, 1], such as pass@k, with `saturated_bounds`."""
    value, low, high = bootstrap_interval(per_problem_values, iterations=iterations)
    problems = np.shape(per_problem_values)[-1]
    return Estimate(value, *map(float, saturated_bounds(value, low, high, problems)))


def resampled_means(values: np.ndarray, problem_weights: np.ndarray, seed_weights: np.ndarray) -> np.ndarray:
    """Bootstrap replicates of the mean over seeds and problems, both resampled by `resampling_weights`.

    Every seed meets the same problems, so the two are crossed, not nested: each is resampled on its own,
    and a replicate is the mean over all pairs (the pigeonhole bootstrap, Owen 2007).

    Weights may be shared. The replicates of two arms made with the same problem weights are paired by
    problem: their difference is a replicate of the arms' difference. The mean of replicates of several
    benchmarks made with the same seed weights is a replicate of the benchmarks' average.

    Args:
        values: [seeds, problems, ...].
        problem_weights: [iterations, problems].
        seed_weights: [iterations, seeds].

    Returns:
        [iterations, ...], NaN of one problem, which says nothing of how others would differ.
    """
    if values.shape[1] == 1:
        return np.full((len(problem_weights), *values.shape[2:]), np.nan)
    by_seed = np.tensordot(problem_weights, values, axes=(1, 1))
    return np.einsum("is,is...->i...", seed_weights, by_seed)


def resampling_weights(size: int, iterations: int, stream: Sequence[int]) -> np.ndarray:
    """[iterations, size], rows that sum to 1: the share of each of `size` items in a resample.

    A resample has one item fewer than there are, with replacement: only then is the variance of the
    resampled means an unbiased estimate of the mean's (Rao & Wu 1988); with all S seeds it would be
    (S - 1) / S of that, half for two. `stream` seeds the generator.
    """
    draws = max(size - 1, 1)
    chosen = np.random.default_rng(stream).integers(size, size=(iterations, draws))
    row_start = size * np.arange(iterations)[:, None]
    drawn = np.bincount((chosen + row_start).ravel(), minlength=iterations * size)
    return drawn.reshape(iterations, size) / draws


def percentile_interval(replicates: np.ndarray) -> np.ndarray:
    """The bounds [2, ...] that leave 2.5 % of the replicates [iterations, ...] outside each."""
    return np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)


def saturated_bounds(
    value: ArrayLike, low: ArrayLike, high: ArrayLike, problems: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of means in [0, 1], with Jeffreys' in the place of the bootstrap's where a mean is 0 or 1, or so
    near that it is printed as that.

    The bootstrap of a benchmark that is solved throughout has no width, as if no other problem could fail.
    Jeffreys' interval for n successes of n begins at the quantile 2.5 % of Beta(n + 1/2, 1/2), and ends at
    1 (Brown, Cai & DasGupta 2001).

    Args:
        value, low, high: the means and their bootstrap bounds, of one shape.
        problems: that each is a mean over.
    """
    distance = _bound_of_none(problems)
    unknown = np.isnan(low)  # of one problem
    none, all_ = np.less(value, AS_NONE) & ~unknown, np.greater(value, 1 - AS_NONE) & ~unknown
    return np.select([none, all_], [0.0, 1 - distance], low), np.select([none, all_], [distance, 1.0], high)


def difference_bounds(
    difference: ArrayLike, low: ArrayLike, high: ArrayLike, problems: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of differences of means in [0, 1], wider than the bootstrap's where it is printed as 0.0 ± 0.0.

    It has no width where two arms agree on every problem, such as a benchmark that both solve throughout: as
    if no other problem could part them. The share of such problems is none of n, up to Jeffreys' bound of
    `saturated_bounds`, and each could be worth 1 either way.

    Args:
        difference, low, high: the differences and their bootstrap bounds, of one shape.
        problems: that each is a mean over.
    """
    distance = _bound_of_none(problems)
    equal = (np.abs(difference) < AS_NONE) & (np.subtract(high, low) < AS_NONE)
    return np.where(equal, difference - distance, low), np.where(equal, difference + distance, high)


def difference_freedom(
    variance: ArrayLike, seed_means: np.ndarray, seed_means_against: np.ndarray, problems: float
) -> np.ndarray:
    """`effective_freedom` of the difference of two arms that answered the same problems.

    Its variance has a part from the training seeds of either, and the rest is from the problems.

    Args:
        variance: [...] of the difference.
        seed_means: [seeds, ...] means over problems of the one arm, `seed_means_against` of the other.
        problems: that each is a mean over; of an average over benchmarks of different sizes, how many of one
            weight would make as sure a mean.
    """
    seeds = [len(means) for means in (seed_means, seed_means_against)]
    of_seeds = [
        means.var(axis=0, ddof=min(1, number - 1)) / number
        for means, number in zip((seed_means, seed_means_against), seeds, strict=True)
    ]
    of_problems = np.maximum(variance - sum(of_seeds), 0)
    freedoms = np.maximum([*seeds, problems], 2) - 1
    return effective_freedom(
        [*of_seeds, of_problems], freedoms.reshape(-1, *np.ones(np.ndim(variance), dtype=int))
    )


def effective_freedom(variances: ArrayLike, freedoms: ArrayLike) -> np.ndarray:
    """Degrees of freedom of a sum of independent estimates: (sum v)^2 / sum(v^2 / freedom).

    Welch (1947) and Satterthwaite (1946): near those of the part that makes most of the variance, and never
    below the least of them.

    Args:
        variances, freedoms: [parts, ...] of each estimate; a part of variance 0 does not count.

    Returns:
        [...], NaN where all variances are 0.
    """
    variances = np.asarray(variances, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(variances == 0, 0.0, variances**2 / np.asarray(freedoms))
        return variances.sum(axis=0) ** 2 / shares.sum(axis=0)


def welch_interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """The difference of two means with its 95 % interval, their variances not taken to be equal.

    A constant sample counts as known exactly.
    """
    variances = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)], dtype=np.float64)
    difference, variance = float(one.mean() - other.mean()), variances.sum()
    if variance == 0:
        return difference, difference, difference
    freedom = effective_freedom(variances, [len(one) - 1, len(other) - 1])
    half_width = float(t.ppf(0.975, freedom) * np.sqrt(variance))
    return difference, difference - half_width, difference + half_width


def _bound_of_none(problems: float) -> float:
    return float(beta.ppf((1 + LEVEL) / 2, 0.5, problems + 0.5))
