"""Weights that multiply advantages after their normalisation."""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from rlvr.algorithms.advantages import float_dtype, success_rate, sum_of_group
from rlvr.algorithms.remembering import CurveRL, FocalPosterior, UnsolvedOnly
from rlvr.config.limits import Limits
from rlvr.data.answer_form import answer_form
from rlvr.errors import UserError


def focal_weight(success_rate: Tensor, gamma: float) -> Tensor:
    """The focal weight g = (1 - success rate)^gamma (F-GRPO, eq. 12), elementwise; A_i^F = g A_i (eq. 13).

    Easy problems, where most rollouts succeed, count for less. The weights are not normalised over the
    batch, so that gamma also lowers the gradient, most of which AdamW takes back (docs/positions.md); their
    mean belongs in the log.

    Args:
        success_rate: any shape, X/N of each group, in [0, 1].
        gamma: at least 0; 0 gives exactly 1 everywhere, a success rate of 1 included.

    Raises:
        UserError: a negative gamma, or a success rate outside [0, 1] (NaN included).
    """
    if not gamma >= 0:
        raise UserError(f"focal gamma {gamma} is not accepted: it must be at least 0 (0 turns it off)")
    success_rate = torch.as_tensor(success_rate)
    outside = ~((success_rate >= 0) & (success_rate <= 1))
    if outside.any():
        raise UserError(
            f"success rate {success_rate[outside][0].item()} is not accepted: it must lie in [0, 1]; "
            "give the share of correct rollouts, not a reward"
        )
    return (1 - success_rate) ** gamma


def no_scaling(correct: Tensor, group_index: Tensor) -> Tensor:
    """Weight 1 for every rollout."""
    return torch.ones_like(correct, dtype=float_dtype(correct))


def focal_scaling(
    correct: Tensor,
    group_index: Tensor,
    *,
    gamma: Annotated[float, Limits(at_least=0, nearest="0 (no scaling)")] = 0.5,
) -> Tensor:
    """The focal weight of each rollout's group, by the group's raw success rate.

    Args:
        gamma: exponent of the failure rate; 0 is no scaling.
    """
    return focal_weight(success_rate(correct, group_index), gamma)


def power(
    correct: Tensor,
    group_index: Tensor,
    *,
    exponent: Annotated[float, Limits(at_least=0, nearest="0 (no scaling)")] = 0.5,
) -> Tensor:
    """p^-exponent with the group's success rate p: hard problems count for more.

    The family that F-GRPO's, MaxRL's and GRPO's own weights are compared in. On advantages without a standard
    deviation 0 is Dr. GRPO's, 1 is MaxRL (arXiv 2602.02710: the gradient of log p). A group without a success
    counts as one with one success, where an estimator gives it a signal at all.

    Args:
        exponent: 0 is no scaling.
    """
    count = sum_of_group((~correct.isnan()).to(float_dtype(correct)), group_index)
    return success_rate(correct, group_index).maximum(1 / count.clamp(min=1)) ** -exponent


def inverse_std(correct: Tensor, group_index: Tensor) -> Tensor:
    """1 / sqrt(p (1 - p)): the weight that GRPO's division by the standard deviation is; 0 where p is 0 or 1.

    On advantages without a standard deviation (`algorithm.normalize_std=false`) it is GRPO with ddof 0, which
    is Dr. GRPO with this weight (arXiv 2503.20783, section 3.1, names it as a bias towards easy and hard).
    """
    rate = success_rate(correct, group_index)
    variance = rate * (1 - rate)
    return variance.rsqrt().where(variance > 0, 0.0)


def smoothed_pass_at_k(
    correct: Tensor, group_index: Tensor, *, k: Annotated[float, Limits(at_least=1)] = 4.0
) -> Tensor:
    """E[k (1 - p)^(k-1)], the slope of pass@k in p, over p ~ Beta(1 + X, 1 + N - X) after X of N.

    On advantages without a standard deviation it is a smoothed gradient of pass@k: for any real k, and not 0
    where a group has fewer than k wrong rollouts. With X/N in the place of the posterior it is k times the
    focal weight with gamma = k - 1. A reading of the utility of Bayesian Boundary Gating (Yuan et al. 2026,
    arXiv 2606.15455, eq. 8), of which the abstract and another's code were seen; its gate is left out.

    Args:
        k: of pass@k.
    """
    count = sum_of_group((~correct.isnan()).to(float_dtype(correct)), group_index)
    rate = success_rate(correct.double(), group_index)
    right, wrong = 1 + count * rate, 1 + count * (1 - rate)
    log_mean = (wrong + k - 1).lgamma() - wrong.lgamma()  # of (1 - p)^(k-1)
    log_mean += (right + wrong).lgamma() - (right + wrong + k - 1).lgamma()
    return (k * log_mean.exp()).to(float_dtype(correct))


def rare_answer(
    correct: Tensor,
    group_index: Tensor,
    texts: list[str],
    *,
    exponent: Annotated[float, Limits(at_least=0, nearest="0 (no scaling)")] = 1.0,
) -> Tensor:
    """m^-exponent of a correct rollout with m answers of its form in the group, scaled to a mean of 1 over
    the group's correct rollouts; 1 for the others.

    `answer_form` says what one form is: expressions that differ only in the order of terms and factors, or in
    brackets that change nothing. A reading of Uniqueness-Aware RL (Hu et al. 2026, arXiv 2601.08763), which
    has a judge cluster solutions and weighs by the size of a cluster; its abstract and summaries were seen.

    Args:
        exponent: 0 is no scaling; with 1 all forms of a group have the same share.
    """
    weight = torch.ones_like(correct, dtype=float_dtype(correct))
    forms = [answer_form(text) if right else None for text, right in zip(texts, correct == 1, strict=True)]
    for group in group_index.unique():
        (members,) = ((group_index == group) & (correct == 1)).nonzero(as_tuple=True)
        names = [forms[i] for i in members.tolist()]
        sizes = torch.tensor([float(names.count(name)) for name in names], dtype=weight.dtype)
        weight[members] = sizes**-exponent / (sizes**-exponent).mean()
    return weight


# The options of `advantage_scaling`: they return a weight for each rollout, float [R], 1 for none
# which are a whole weight of a problem, and not one beside that of the standard deviation
FOR_UNNORMALISED = ("power", "inverse_std", "smoothed_pass_at_k", "curverl")

SCALINGS: dict[str, Callable[..., Tensor]] = {
    "none": no_scaling,
    "focal": focal_scaling,
    "power": power,
    "inverse_std": inverse_std,
    "smoothed_pass_at_k": smoothed_pass_at_k,
    "rare_answer": rare_answer,
    "unsolved_only": UnsolvedOnly,
    "focal_posterior": FocalPosterior,
    "curverl": CurveRL,
}
