"""What a policy can do, besides pass@k: measures of the problems' success rates, from stored counts.

Like pass@k each is a number a problem, whose mean over problems and training seeds has the intervals of
`rlvr.evaluation.intervals`; differences of two policies are paired by problem.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rlvr.data import Verdict
from rlvr.data.answer_form import answer_form
from rlvr.errors import UserError
from rlvr.evaluation.passk import pass_at_k
from rlvr.files.run_files import damage_as_sentence


def covered(n: ArrayLike, c: ArrayLike, tau: float) -> np.ndarray:
    """1 where a problem's success rate c/n is at least tau, else 0; its mean is Cover@tau.

    Dragoi et al. 2025 (arXiv 2510.08325): the share of problems with a success probability of at least tau.
    c/n stands for the probability, so that tau far below 1/n asks for one success. pass@k is the mean of
    Cover@tau over tau ~ Beta(1, k), which weighs low rates.

    Raises:
        UserError: for a tau outside of (0, 1], and for counts that `pass_at_k` refuses.
    """
    if not 0 < tau <= 1:
        raise UserError(f"Cover@tau got tau={tau}: accepted is above 0 and at most 1")
    pass_at_k(n, c, 1)  # refuses what can't be counts
    # tau n as a fraction that has been through a decimal, such as 0.1 of 10, is not to miss by a rounding
    return (np.asarray(c) >= tau * np.asarray(n) * (1 - 1e-9)).astype(float)


def log_k_area(n: ArrayLike, c: ArrayLike, largest: int) -> np.ndarray:
    """The mean of pass@k over log k from 1 to `largest`: trapezoids between 1, 2, 4, ... and `largest`.

    From 0 to 1, and linear in pass@k; the AUC@K of papers, divided by its width.

    Args:
        n, c: [...], samples and right ones of a problem; n >= largest.
        largest: the K, above 1.
    """
    if largest < 2:
        raise UserError(f"the area under pass@k got K={largest}: accepted is 2 or more")
    ks = np.unique([*(2 ** np.arange(largest.bit_length())), largest])
    curve = pass_at_k(np.asarray(n)[..., None], np.asarray(c)[..., None], ks)
    return np.trapezoid(curve, np.log(ks), axis=-1) / np.log(largest)


def lost_and_won(
    n: ArrayLike, c: ArrayLike, n_base: ArrayLike, c_base: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    """1 for each problem that the base solved at least once and the policy never, and for each the other way.

    Both with the same number of samples, the smaller one of a problem's two: where one has more of them, the
    chance that so many of them hold a right one. [..., problems] against [problems].
    """
    tries = np.minimum(n, n_base)
    solved, solved_base = pass_at_k(n, c, tries), pass_at_k(n_base, c_base, tries)
    return np.asarray(solved_base * (1 - solved)), np.asarray((1 - solved_base) * solved)


def distinct_answers(samples: Path | str | pd.DataFrame) -> pd.Series:
    """How many different right answers the samples of each problem have, by problem id in sorted order.

    Two are the same if `answer_form` says so: it knows expressions, and takes other texts as they are.

    Args:
        samples: an evaluation's Parquet file, or a frame with its columns `problem_id`, `verdict`, `text`.
    """
    columns = ["problem_id", "verdict", "text"]
    if isinstance(samples, pd.DataFrame):
        frame = samples
    else:
        with damage_as_sentence(Path(samples)):
            frame = pd.read_parquet(samples, columns=columns)
    right = frame[frame["verdict"] == str(Verdict.CORRECT)].drop_duplicates(["problem_id", "text"])
    forms = right["text"].map(answer_form).groupby(right["problem_id"]).nunique()
    return forms.reindex(sorted(frame["problem_id"].unique()), fill_value=0)


def measure_names(taus: Sequence[float], largest: int) -> list[str]:
    """The columns of `per_problem`, in its order."""
    return [*(f"cover@{tau:g}" for tau in taus), f"log-k area to {largest}", "lost", "won"]


def per_problem(
    n: np.ndarray,
    c: np.ndarray,
    n_base: np.ndarray,
    c_base: np.ndarray,
    taus: Sequence[float],
    largest: int,
) -> np.ndarray:
    """All measures of counts but distinct answers, [seeds, problems, measures]; no area, NaN, up to k = 1.

    Args:
        n, c: [seeds, problems].
        n_base, c_base: [problems], of the policy before training.
    """
    area = log_k_area(n, c, largest) if largest > 1 else np.full(np.shape(n), np.nan)
    parts = [*(covered(n, c, tau) for tau in taus), area, *lost_and_won(n, c, n_base, c_base)]
    return np.stack(parts, axis=-1)
