"""Weights that multiply advantages after their normalisation."""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from rlvr.algorithms.advantages import success_rate
from rlvr.config.limits import Limits
from rlvr.errors import UserError


def focal_weight(success_rate: Tensor, gamma: float) -> Tensor:
    """The focal weight g = (1 - success rate)^gamma (F-GRPO, eq. 12), elementwise; A_i^F = g A_i (eq. 13).

    Easy problems, where most rollouts succeed, count for less. The weights are not normalised over the
    batch, so that gamma also lowers the effective step; their mean belongs in the log.

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
    return torch.ones_like(correct)


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


# The options of `advantage_scaling`: they return a weight for each rollout, float [R], 1 for none
SCALINGS: dict[str, Callable[..., Tensor]] = {"none": no_scaling, "focal": focal_scaling}
