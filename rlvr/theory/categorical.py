"""One policy-gradient step on a categorical policy: where the probability of correct answers goes.

F-GRPO (arXiv 2602.06717), section 3.2 with appendices G and H; equation (17) is Theorem 1 of BroRL
(arXiv 2510.01180). A prompt's whole answers are the actions of p = softmax(z). A group of N draws samples
some of them; a sampled action has reward `reward_correct` or `reward_wrong`, an unsampled one 0, and one
step of size eta on (1/N) sum_i R_i p_i changes the logits by (5). The mass changes are of first order in
eta: the derivative of the exact softmax step at eta = 0, times eta.

Not here: repeated draws of one action count once, as in the papers' analysis, and there is no advantage,
no clipping and no optimiser state. `rlvr.theory.simulation` has those.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class SampledStep:
    """The masses that decide what one step does.

    Sums of p (mass) and of p^2 (square) over sampled and unsampled, correct and wrong actions. In the
    paper's letters: Q_pos, Q_neg, P_pos, P_neg, A2, B2, U_pos,2, U_neg,2 and the baseline S_R.
    """

    correct_mass: float
    wrong_mass: float
    sampled_correct_mass: float
    sampled_wrong_mass: float
    sampled_correct_square: float
    sampled_wrong_square: float
    unsampled_correct_square: float
    unsampled_wrong_square: float
    reward_correct: float
    reward_wrong: float

    @classmethod
    def of(
        cls,
        probabilities: ArrayLike,
        correct: ArrayLike,
        sampled: ArrayLike,
        *,
        reward_correct: float = 1.0,
        reward_wrong: float = -1.0,
    ) -> "SampledStep":
        """Sum up `probabilities` (actions,) by two boolean masks of the same shape."""
        p, correct, sampled = np.asarray(probabilities, np.float64), np.asarray(correct), np.asarray(sampled)
        return cls(
            correct_mass=p[correct].sum(),
            wrong_mass=p[~correct].sum(),
            sampled_correct_mass=p[correct & sampled].sum(),
            sampled_wrong_mass=p[~correct & sampled].sum(),
            sampled_correct_square=np.square(p[correct & sampled]).sum(),
            sampled_wrong_square=np.square(p[~correct & sampled]).sum(),
            unsampled_correct_square=np.square(p[correct & ~sampled]).sum(),
            unsampled_wrong_square=np.square(p[~correct & ~sampled]).sum(),
            reward_correct=reward_correct,
            reward_wrong=reward_wrong,
        )

    @property
    def baseline(self) -> float:
        """S_R = R_c P_pos + R_w P_neg, the policy's mean reward with 0 for unsampled actions."""
        return self.reward_correct * self.sampled_correct_mass + self.reward_wrong * self.sampled_wrong_mass

    @property
    def unsampled_correct_mass(self) -> float:
        """Q_u,pos = Q_pos - P_pos, equation (9)."""
        return self.correct_mass - self.sampled_correct_mass

    @property
    def unsampled_square(self) -> float:
        """U2 = U_pos,2 + U_neg,2."""
        return self.unsampled_correct_square + self.unsampled_wrong_square


@dataclass(frozen=True, slots=True)
class UnsampledMassChange:
    """The change of the unsampled correct mass, equation (10), by cause.

    Attributes:
        drift: -(eta/N) S_R U_pos,2, the logits of unsampled correct actions themselves move; negative for
            a positive baseline.
        drain: -(eta/N) Q_u,pos (R_c - S_R) A2, sampled correct actions grow and softmax takes the mass
            from all others; never positive for R_w <= 0 < R_c.
        donation: -(eta/N) Q_u,pos (R_w - S_R) B2, mass that sampled wrong actions lose; never negative for
            R_w <= 0 < R_c.
        rebound: (eta/N) Q_u,pos S_R U2, mass that all unsampled actions lose by their own drift.
    """

    drift: float
    drain: float
    donation: float
    rebound: float

    @property
    def total(self) -> float:
        return self.drift + self.drain + self.donation + self.rebound


def logit_change(
    probabilities: ArrayLike,
    correct: ArrayLike,
    sampled: ArrayLike,
    *,
    group_size: int,
    step_size: float,
    reward_correct: float = 1.0,
    reward_wrong: float = -1.0,
) -> NDArray[np.float64]:
    """Equation (5): (eta/N) p_i (R_i - S_R) for every action, with R_i = 0 where it was not sampled.

    All arrays are (actions,), the masks boolean; returns float64 of the same shape.
    """
    p, correct, sampled = np.asarray(probabilities, np.float64), np.asarray(correct), np.asarray(sampled)
    reward = np.where(sampled, np.where(correct, reward_correct, reward_wrong), 0.0)
    return step_size / group_size * p * (reward - p @ reward)


def mass_change(probabilities: ArrayLike, logit_changes: ArrayLike, members: ArrayLike) -> float:
    """Equations (18) and (19): what a small change of the logits does to the mass of the masked actions.

    Q_S changes by sum_S p_i dz_i - Q_S sum_j p_j dz_j, to first order in dz.
    """
    p, members = np.asarray(probabilities, np.float64), np.asarray(members)
    flow = p * np.asarray(logit_changes)
    return flow[members].sum() - p[members].sum() * flow.sum()


def correct_mass_change(step: SampledStep, *, group_size: int, step_size: float) -> float:
    """Equation (17): the change of the correct mass Q_pos.

    The terms of the sampled actions are never negative for R_w <= 0 <= R_c; only what was not sampled can
    lower Q_pos.
    """
    correct_grow = (step.reward_correct - step.baseline) * step.wrong_mass * step.sampled_correct_square
    wrong_shrink = (step.baseline - step.reward_wrong) * step.correct_mass * step.sampled_wrong_square
    unsampled_drift = step.baseline * (
        step.correct_mass * step.unsampled_wrong_square - step.wrong_mass * step.unsampled_correct_square
    )
    return step_size / group_size * (correct_grow + wrong_shrink + unsampled_drift)


def unsampled_correct_mass_change(
    step: SampledStep, *, group_size: int, step_size: float
) -> UnsampledMassChange:
    """Proposition 3.2, equation (10): the change of the correct mass Q_u,pos that no rollout hit."""
    scale = step_size / group_size
    coupling = scale * step.unsampled_correct_mass
    return UnsampledMassChange(
        drift=-scale * step.baseline * step.unsampled_correct_square,
        drain=-coupling * (step.reward_correct - step.baseline) * step.sampled_correct_square,
        donation=-coupling * (step.reward_wrong - step.baseline) * step.sampled_wrong_square,
        rebound=coupling * step.baseline * step.unsampled_square,
    )


def expected_sampled_mass(probabilities: ArrayLike, draws: int) -> float:
    """Lemma H.1: the expected mass of the distinct actions among `draws` from one class of answers.

    E = sum_o pi(o) (1 - (1 - q(o))^draws), with q = pi / sum(pi) the class's own distribution. For the
    correct actions and X = k correct rollouts this is E[P_pos | X = k], for the wrong ones and N - k
    draws E[P_neg | X = k]: the first rises in k, the second falls.

    Args:
        probabilities: pi(o) of the actions of that class, with a positive sum.
        draws: rollouts that fell into the class, >= 0.
    """
    pi = np.asarray(probabilities, np.float64)
    with np.errstate(divide="ignore"):  # a class of one action has q = 1
        return float(pi @ -np.expm1(draws * np.log1p(-pi / pi.sum()))) if draws else 0.0


def expected_baseline(
    probabilities: ArrayLike,
    correct: ArrayLike,
    *,
    group_size: int,
    successes: int,
    reward_correct: float = 1.0,
    reward_wrong: float = -1.0,
) -> float:
    """Corollary H.2: E[S_R | X = successes], which for R_w <= 0 <= R_c never falls in `successes`.

    This is why the empirical success rate tells how strongly a step drains unsampled correct answers.
    """
    p, correct = np.asarray(probabilities, np.float64), np.asarray(correct)
    correct_mass = expected_sampled_mass(p[correct], successes)
    wrong_mass = expected_sampled_mass(p[~correct], group_size - successes)
    return reward_correct * correct_mass + reward_wrong * wrong_mass


def expected_unsampled_square(probabilities: ArrayLike, group_size: int) -> float:
    """Lemma 2 of BroRL: E[U2] = sum p^2 (1 - p)^N over the given actions, for N independent draws."""
    p = np.asarray(probabilities, np.float64)
    return float(np.square(p) @ (1 - p) ** group_size)
