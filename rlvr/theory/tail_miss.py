"""How often a group of rollouts learns something and still never sees the rare correct answers.

F-GRPO (arXiv 2602.06717), section 3.1. A prompt is answered correctly with probability `mu`; `tau` of that
mass lies in a target set E of (rare) correct answers. A group of N independent rollouts is *active* when it
holds both a correct and a wrong one, and misses the tail when it is active and holds nothing of E.

Left open by the paper, and the position taken: no formula is given for the group size at which the
probability of a tail miss peaks. `most_tail_missing_group_size` finds the integer exactly, because the
sign of the forward difference changes once.
"""

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlvr.errors import UserError


def tail_miss_probability(
    group_size: ArrayLike, success_probability: ArrayLike, target_probability: ArrayLike
) -> NDArray[np.float64]:
    """Pr(active and no rollout in E) = (1 - tau)^N - (mu - tau)^N - (1 - mu)^N, Lemma 3.1.

    With s = 1 - tau, the mass outside E, and q the smaller share of its two parts (correct mu - tau and
    wrong 1 - mu), this is s^N [1 - (1 - q)^N - q^N]. As q <= 1/2, the last subtraction loses one bit at
    most, so the result has a relative error below 1e-12 wherever it is a normal number.

    Args:
        group_size: N, integers >= 1.
        success_probability: mu, in [0, 1].
        target_probability: tau, in [0, mu].

    Returns:
        float64, of the arguments' broadcast shape.

    Raises:
        UserError: for an argument outside these ranges.
    """
    N = _checked_group_size(group_size)
    mu, tau = _checked_probabilities(success_probability, target_probability)
    correct, wrong = mu - tau, 1 - mu
    # Where tau = 1 nothing lies outside E and the share is 0/0; any value will do, as s^N is 0.
    share = np.minimum(correct, wrong) / np.maximum(correct + wrong, np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        all_outside = np.exp(N * np.log1p(-tau))
    both_kinds = -np.expm1(N * np.log1p(-share)) - share**N
    # One rollout is never of both kinds; the subtraction would leave a rounding error.
    return np.where(N == 1, 0.0, all_outside * both_kinds)[()]


def active_probability(group_size: ArrayLike, success_probability: ArrayLike) -> NDArray[np.float64]:
    """Pr(0 < X < N) = 1 - mu^N - (1 - mu)^N: a group holds both a correct and a wrong rollout (Lemma 3.1).

    Arguments, result and errors as in `tail_miss_probability`, of which it is the case tau = 0.
    """
    return tail_miss_probability(group_size, success_probability, 0.0)


def most_tail_missing_group_size(success_probability: float, target_probability: float) -> int:
    """The group size N with the largest `tail_miss_probability`; the smaller of two that tie.

    Going from N to N + 1 changes the probability by (1 - a) a^N + (1 - b) b^N - tau s^N, with a = mu - tau,
    b = 1 - mu and s = 1 - tau. Divided by s^N the first two terms fall in N, so the change turns negative
    once and a bisection over N finds where.

    Raises:
        UserError: unless 0 < tau < mu < 1; otherwise the probability never falls, or is always 0.
    """
    mu, tau = float(success_probability), float(target_probability)
    if not 0 < tau < mu < 1:
        raise UserError(
            f"success probability {mu} and target probability {tau} were given: a group size that misses the "
            "tail most exists for 0 < target < success < 1"
        )
    outside = 1 - tau
    # log(a / s) and log(b / s), each from the other part's share, which is exact where it is small.
    log_correct, log_wrong = np.log1p(-(1 - mu) / outside), np.log1p(-(mu - tau) / outside)

    def rises_after(N: int) -> bool:
        return (1 - mu + tau) * np.exp(N * log_correct) + mu * np.exp(N * log_wrong) > tau

    upper = 1
    while rises_after(upper):
        upper *= 2
    return 1 + bisect_left(range(1, upper), True, key=lambda N: not rises_after(N))


def _checked_group_size(group_size: ArrayLike) -> NDArray[np.float64]:
    N = np.asarray(group_size)
    wrong = ~((N >= 1) & (np.floor(N) == N))
    if wrong.any():
        raise UserError(f"group size {N[wrong].flat[0]} was given: accepted are whole numbers from 1")
    return N.astype(np.float64)


def _checked_probabilities(mu: ArrayLike, tau: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mu, tau = np.broadcast_arrays(np.asarray(mu, np.float64), np.asarray(tau, np.float64))
    wrong = ~((tau >= 0) & (tau <= mu) & (mu <= 1))
    if wrong.any():
        raise UserError(
            f"success probability {mu[wrong].flat[0]} and target probability {tau[wrong].flat[0]} "
            "were given: accepted are 0 <= target <= success <= 1"
        )
    return mu, tau
