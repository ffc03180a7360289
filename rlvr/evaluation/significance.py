"""Is one arm better than another at pass@k: the paired m-out-of-n subsampling test of F-GRPO, section 5.

`holm_intervals` is for many differences at once.

The paper gives n = 1024, m = 256 without replacement from each problem, 50,000 iterations, two sides and
alpha = .05. Read here as: again and again m of the n generations of every problem are kept, in each arm on
its own, both arms' pass@k are averaged over the same problems, and the difference is significant if it
falls on one side of zero in all but alpha / 2 of the iterations.

It covers sampling noise only: would these two trained policies differ on these very problems if they
answered them again? It does not cover other problems or other training seeds (the bootstrap of
`intervals` does), and nothing is corrected for the number of cells in a table.

The level holds for every k as long as m <= n/2 and means over problems are near normal. With U_m the
pass@k of m generations, the spread of the iterations around U_n satisfies E[spread²] = Var(U_m) - Var(U_n)
>= (n/m - 1) Var(U_n), as m Var(U_m) never grows with m (Hoeffding 1948). At n = 4m the iterations so spread
at least sqrt(3) times as far as chance does, and the test is careful: at k = 1 it calls about 1 true null
in 1,500 significant, not 1 in 20.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hypergeom, norm, t

from rlvr.errors import UserError
from rlvr.evaluation.passk import pass_at_k

SUBSAMPLE = 256
ITERATIONS = 50_000
ALPHA = 0.05
TO_ERROR = 2 * norm.ppf(0.975)  # the width of a 95 % interval over the standard error


def paired_subsampling_test(
    focal: tuple[ArrayLike, ArrayLike],
    baseline: tuple[ArrayLike, ArrayLike],
    ks: Sequence[int],
    *,
    subsample: int = SUBSAMPLE,
    iterations: int = ITERATIONS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Compare two arms at each k.

    Args:
        focal: (n, c) of one arm, each [problems] or [seeds, problems]: generations and correct ones.
            Several seeds are pooled as the tables average them: each seed is subsampled by itself and
            pass@k is averaged over seeds, so the seeds at hand are taken as they are.
        baseline: (n, c) of the other arm, for the same problems; it may have another number of seeds.
        ks: the k of each comparison, all at most `subsample`.
        subsample: m, generations kept of each problem; at most half of the fewest there are.

    Returns:
        The difference of mean pass@k, focal minus baseline, and its two-sided p-value, both [ks].

    Raises:
        UserError: if an arm's n and c differ in shape, the arms in problems, or k, m and n do not fit.
    """
    for n, c in (focal, baseline):
        if (of_n := np.shape(n)) != (of_c := np.shape(c)) or not of_n:
            raise UserError(
                f"a paired test got n of shape {of_n} and c of shape {of_c}: accepted are two of the same, "
                "[problems] or [seeds, problems]"
            )
    problems = np.shape(focal[0])[-1], np.shape(baseline[0])[-1]
    if problems[0] != problems[1]:
        raise UserError(f"a paired test got {problems[0]} and {problems[1]} problems: accepted are the same")
    rng = np.random.default_rng(seed)
    differences = subsampled_means(*focal, ks, subsample=subsample, iterations=iterations, rng=rng)
    differences -= subsampled_means(*baseline, ks, subsample=subsample, iterations=iterations, rng=rng)
    return _mean_pass_at_k(*focal, ks) - _mean_pass_at_k(*baseline, ks), two_sided_p_values(differences)


def subsampled_means(
    n: ArrayLike,
    c: ArrayLike,
    ks: Sequence[int],
    *,
    subsample: int = SUBSAMPLE,
    iterations: int = ITERATIONS,
    rng: np.random.Generator,
) -> np.ndarray:
    """[iterations, ks]: mean pass@k when m generations of each problem (and seed) are kept.

    How many correct ones are among them is hypergeometric, so no sample is ever looked at.
    """
    n, c = np.ravel(n), np.ravel(c)
    if 2 * subsample > n.min() or max(ks) > subsample:
        raise UserError(
            f"a subsampling test got k={max(ks)}, m={subsample} and n={n.min()}: accepted are k <= m <= n/2"
        )
    right = np.arange(subsample + 1)
    solved = pass_at_k(subsample, right[:, None], np.asarray(ks))
    total = np.zeros((iterations, len(ks)))
    for chances in hypergeom.pmf(right, n[:, None], c[:, None], subsample):
        # The iterations' counts as one shuffled multinomial: as good as one draw each, and six times as fast.
        drawn = rng.multinomial(iterations, chances / chances.sum())
        kept = np.repeat(right.astype(np.uint16), drawn)
        rng.shuffle(kept)
        total += np.take(solved, kept, axis=0)
    return total / len(n)


def two_sided_p_values(differences: np.ndarray) -> np.ndarray:
    """Twice the smaller share of differences [iterations, ...] on one side of zero, which counts as both.

    One difference of zero is added, so that no finite number of iterations gives p = 0.
    """
    tie = 1e-12  # equal means summed in another order
    one_side = np.minimum((differences <= tie).sum(axis=0), (differences >= -tie).sum(axis=0))
    return np.minimum(2 * (1 + one_side) / (1 + len(differences)), 1.0)


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
    p_values = 2 * t.sf(statistic, freedom)
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
    half = t.ppf(1 - levels / 2, freedom) * error
    return list(zip((value - half).tolist(), (value + half).tolist(), strict=True))


def _mean_pass_at_k(n: ArrayLike, c: ArrayLike, ks: Sequence[int]) -> np.ndarray:
    return pass_at_k(np.ravel(n)[:, None], np.ravel(c)[:, None], np.asarray(ks)).mean(axis=0)
