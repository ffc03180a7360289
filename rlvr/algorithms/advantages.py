"""Advantage estimators: how much better than others a rollout was.

Groups are flat: one entry a rollout, and `group_index` says which group each belongs to. Ids may be any
integers in any order, and groups may differ in size. An unscorable rollout carries NaN.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from rlvr.config.limits import Limits


def group_relative_advantages(
    rewards: Tensor,
    group_index: Tensor,
    *,
    ddof: int = 1,
    eps: float = 1e-6,
    normalize_std: bool = True,
) -> Tensor:
    """The GRPO advantage A_i = (R_i - mean) / (std + eps) over the rollouts of one problem (F-GRPO, eq. 3).

    Exactly 0 in a group whose scorable rewards are all equal or are just one, and for NaN rewards, which
    are left out of mean and std.

    Args:
        rewards: [rollouts], one number each; NaN is unscorable.
        group_index: [rollouts], int64 id of the group of each.
        ddof: std divides by (scorable rollouts - ddof); 1 as in verl and TRL, 0 for the population's.
        eps: added to std.
        normalize_std: False leaves out the division (Dr. GRPO).

    Returns:
        [rollouts], of the dtype of `rewards` (the default float dtype for integers and booleans).
    """
    _, group = torch.unique(group_index, return_inverse=True)
    scorable = ~rewards.isnan()
    reward = rewards.double()
    # Measured from the group's lowest reward, equal rewards are exact zeros; around their mean they need
    # not be: 0.1 + 0.1 + 0.1 is not 0.3.
    lowest = _min_of_group(reward.where(scorable, torch.inf), group)
    gain = (reward - lowest).where(scorable, 0.0)
    count = _sum_of_group(scorable.double(), group)
    advantage = (gain - _sum_of_group(gain, group) / count).where(scorable, 0.0)
    if normalize_std:
        variance = _sum_of_group(advantage.square(), group) / (count - ddof)
        # The variance is 0 where all rewards are equal, and 0 / 0 where there is just one.
        advantage = (advantage / (variance.sqrt() + eps)).where(variance > 0, 0.0)
    return advantage.to(_float_dtype(rewards))


def group_relative(
    rewards: Tensor,
    group_index: Tensor,
    *,
    normalize_std: bool = True,
    ddof: Annotated[int, Limits(at_least=0, at_most=1)] = 1,
    advantage_eps: Annotated[float, Limits(at_least=0)] = 1e-6,
) -> Tensor:
    """`group_relative_advantages`, as `algorithm.advantage=group_relative`.

    Args:
        normalize_std: whether to divide by the group's standard deviation; false is Dr. GRPO's.
        ddof: the standard deviation divides by (rollouts - ddof).
        advantage_eps: added to the standard deviation.
    """
    return group_relative_advantages(
        rewards, group_index, ddof=ddof, eps=advantage_eps, normalize_std=normalize_std
    )


def rloo(rewards: Tensor, group_index: Tensor) -> Tensor:
    """REINFORCE leave-one-out: A_i = R_i - mean of the rewards of the group's other rollouts.

    Ahmadian et al. 2024, arXiv 2402.14740, section 3: A_i = R_i - 1/(N-1) sum_(j != i) R_j, which is
    N/(N-1) (R_i - mean). Not divided by any standard deviation. 0 for the only scorable rollout of a group
    and for NaN rewards, which are no part of N.

    Args:
        rewards: [rollouts], one number each; NaN is unscorable.
        group_index: [rollouts], int64 id of the group of each.

    Returns:
        [rollouts], of the dtype of `rewards` (the default float dtype for integers and booleans).
    """
    _, group = torch.unique(group_index, return_inverse=True)
    count = _sum_of_group((~rewards.isnan()).double(), group)
    centred = group_relative_advantages(rewards.double(), group_index, normalize_std=False)
    return (centred * count / (count - 1).clamp(min=1)).to(_float_dtype(rewards))


def reinforce_plus_plus(
    rewards: Tensor,
    group_index: Tensor,
    *,
    baseline: Literal["none", "group"] = "none",
    advantage_eps: Annotated[float, Limits(at_least=0)] = 1e-8,
) -> Tensor:
    """REINFORCE++: rewards normalised over the whole batch, not within each group.

    Hu et al. 2025, arXiv 2501.03262: A_i = (R_i - mean) / (std + eps) with mean and std of all scorable
    rollouts of the step. With baseline="group" (REINFORCE++-Baseline there) the group's mean reward is taken
    off first, and mean and std are those of what is left. The std is that of a sample (ddof 1). The paper's
    KL penalty in the reward of each token is not a part of this function: `algorithm.kl_coefficient` is the
    KL term of this package.

    All advantages are 0 where all rewards, or all that is left of them, are equal; NaN rewards have 0.

    Args:
        rewards: [rollouts], one number each; NaN is unscorable.
        group_index: [rollouts], int64 id of the group of each.
        baseline: what is taken off before: nothing, or the mean reward of the rollout's group.
        advantage_eps: added to the standard deviation.

    Returns:
        [rollouts], of the dtype of `rewards` (the default float dtype for integers and booleans).
    """
    reward = rewards.double()
    if baseline == "group":
        centred = group_relative_advantages(reward, group_index, normalize_std=False)
        reward = centred.where(~rewards.isnan(), torch.nan)
    whole_batch = torch.zeros_like(group_index)
    advantage = group_relative_advantages(reward, whole_batch, ddof=1, eps=advantage_eps)
    return advantage.to(_float_dtype(rewards))


def success_rate(correct: Tensor, group_index: Tensor) -> Tensor:
    """The success rate X/N of each rollout's group (F-GRPO, eq. 11), from raw correctness.

    Rewards that were shaped (a length penalty, a format bonus) do not belong here.

    Args:
        correct: [rollouts], 1 or True is correct, 0 or False is not, NaN is unscorable and left out of
            both X and N.
        group_index: [rollouts], int64 id of the group of each.

    Returns:
        [rollouts] in [0, 1], one value a group, 0 where a group has no scorable rollout; of the dtype of
        `correct` (the default float dtype for integers and booleans).
    """
    _, group = torch.unique(group_index, return_inverse=True)
    scorable = ~correct.isnan()
    successes = _sum_of_group(correct.double().where(scorable, 0.0), group)
    count = _sum_of_group(scorable.double(), group)
    return (successes / count.clamp(min=1)).to(_float_dtype(correct))


def _sum_of_group(values: Tensor, group: Tensor) -> Tensor:
    """For each rollout, the sum over its group; `group` counts from 0."""
    return torch.zeros_like(values).index_add(0, group, values)[group]


def _min_of_group(values: Tensor, group: Tensor) -> Tensor:
    """For each rollout, the minimum over its group; `group` counts from 0."""
    return torch.full_like(values, torch.inf).scatter_reduce(0, group, values, "amin")[group]


def _float_dtype(values: Tensor) -> torch.dtype:
    return values.dtype if values.is_floating_point() else torch.get_default_dtype()


# The options of `algorithm.advantage`
ADVANTAGES: dict[str, Callable[..., Tensor]] = {
    "group_relative": group_relative,
    "rloo": rloo,
    "reinforce_plus_plus": reinforce_plus_plus,
}
