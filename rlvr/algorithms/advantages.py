"""How much better than its group a rollout was.

Groups are flat: one entry a rollout, and `group_index` says which group each belongs to. Ids may be any
integers in any order, and groups may differ in size. An unscorable rollout carries NaN.
"""

import torch
from torch import Tensor


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
