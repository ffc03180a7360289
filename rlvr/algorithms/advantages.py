"""Advantage estimators: how much better than others a rollout was.

Groups are flat: one entry a rollout, and `group_index` says which group each belongs to. Ids may be any
integers in any order, and groups may differ in size. An unscorable rollout carries NaN.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor

from rlvr.config.limits import Limits
from rlvr.errors import UserError


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
    scorable = ~rewards.isnan()
    reward = rewards.double()
    # Measured from the group's lowest reward, equal rewards are exact zeros; around their mean they need
    # not be: 0.1 + 0.1 + 0.1 is not 0.3.
    count = sum_of_group(scorable.double(), group_index)
    lowest = _min_of_group(reward.where(scorable, torch.inf), group_index)
    gain = (reward - lowest).where(scorable, 0.0)
    advantage = (gain - sum_of_group(gain, group_index) / count).where(scorable, 0.0)
    if normalize_std:
        variance = sum_of_group(advantage.square(), group_index) / (count - ddof)
        # The variance is 0 where all rewards are equal, and 0 / 0 where there is just one.
        advantage = (advantage / (variance.sqrt() + eps)).where(variance > 0, 0.0)
    return advantage.to(float_dtype(rewards))


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
    count = sum_of_group((~rewards.isnan()).double(), group_index)
    centred = group_relative_advantages(rewards.double(), group_index, normalize_std=False)
    return (centred * count / (count - 1).clamp(min=1)).to(float_dtype(rewards))


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
    has_signal = torch.ones_like(reward, dtype=torch.bool)
    if baseline == "group":
        centred = group_relative_advantages(reward, group_index, normalize_std=False)
        has_signal = centred != 0  # all that is left has mean 0 only up to rounding: zeros stay zeros
        reward = centred.where(~rewards.isnan(), torch.nan)
    whole_batch = torch.zeros_like(group_index)
    advantage = group_relative_advantages(reward, whole_batch, ddof=1, eps=advantage_eps) * has_signal
    return advantage.to(float_dtype(rewards))


def maxrl(rewards: Tensor, correct: Tensor, group_index: Tensor) -> Tensor:
    """MaxRL: A_i = (R_i - mean) / p with the group's success rate p; 0 where no rollout succeeded.

    Maximum Likelihood Reinforcement Learning, arXiv 2602.02710 (`compute_maxrl_outcome_advantage` of its
    code, which has mean + 1e-6 below the line): with N rollouts the gradient is that of log p to order N,
    sum_k (1/k) grad pass@k. It is `power` with a = 1 on advantages without a standard deviation.

    Args:
        rewards: [rollouts], one number each; NaN is unscorable.
        correct: [rollouts], raw correctness, of which p is the mean: a shaped reward is no success rate.
        group_index: [rollouts], int64 id of the group of each.
    """
    rate = success_rate(correct.double(), group_index)
    centred = group_relative_advantages(rewards.double(), group_index, normalize_std=False)
    return (centred / rate).where(rate > 0, 0.0).to(float_dtype(rewards))


def signed(
    correct: Tensor,
    *,
    positive_weight: Annotated[float, Limits(at_least=0)] = 1.0,
    negative_weight: Annotated[float, Limits(at_least=0)] = 1.0,
) -> Tensor:
    """A_i = positive_weight of a correct rollout, -negative_weight of a wrong one, without any baseline.

    The decomposition of Zhu et al. 2025 (arXiv 2506.01347, advantages as in the code released with it): 1
    and 0 is PSR, 0 and 1 is NSR, 0.1 and 1 is W-REINFORCE; 1 and 1 is REINFORCE with rewards of 1 and -1, the
    sum of the first two. That code leaves the other rollouts out of the mean over tokens of PSR and NSR; here
    they stay in the normaliser, so that PSR + NSR is the whole gradient.

    Groups that are all wrong have a signal, and NaN has none.

    Args:
        correct: [rollouts], 1, 0, or NaN where nothing could be judged.
        positive_weight: of correct rollouts.
        negative_weight: of wrong ones.
    """
    right = (correct == 1).to(float_dtype(correct))
    wrong = (correct == 0).to(float_dtype(correct))
    return positive_weight * right - negative_weight * wrong


def pass_at_k(
    correct: Tensor,
    group_index: Tensor,
    *,
    k: Annotated[int, Limits(at_least=1)] = 4,
    baseline: Literal["mean", "leave_one_out", "leave_one_out_minus_one", "none"] = "mean",
    normalize_std: bool = True,
) -> Tensor:
    """How much a rollout adds to pass@k: q_i, the mean over all sets of k with it, minus a baseline.

    With c of a group's N rollouts correct, q_i is 1 for a correct one and 1 - C(N-c-1, k-1) / C(N-1, k-1)
    for a wrong one. The baseline is pass@k over the sets of k of all rollouts ("mean": Pass@k Training, Chen
    et al. 2025, arXiv 2508.10751, as `passk_adv.py` of its code has it), of the others alone
    ("leave_one_out"), or over sets of k - 1 of the others ("leave_one_out_minus_one", whose wrong rollouts
    have 0); these and "none" are PKPO's (Walder & Karkhanis 2025, arXiv 2505.15201, from a summary of it).

    Divided by the group's sqrt(pass@k (1 - pass@k)), as in Pass@k Training, or else multiplied by k: the mean
    over rollouts of A_i grad log pi(o_i) is then an unbiased estimate of the gradient of pass@k. That of
    "mean" is 1 - k/N times it: q_i - pass@k = (1 - k/N) (q_i - leave_one_out). With k = 1 "leave_one_out" is
    RLOO, and "mean" is GRPO (ddof 0), or Dr. GRPO without the division.

    A shaped reward has no part in it. A group with fewer than k scorable rollouts (k + 1 with
    "leave_one_out") is taken with a smaller k.

    Args:
        correct: [rollouts], 1, 0, or NaN, which has advantage 0 and is no part of N.
        group_index: [rollouts], int64 id of the group of each.
        k: of pass@k.
        baseline: what is taken off.
        normalize_std: whether to divide by the group's standard deviation of pass@k.
    """
    scorable = ~correct.isnan()
    count = sum_of_group(scorable.double(), group_index)
    wrong_one = (correct == 0).double()
    wrong = sum_of_group(wrong_one, group_index)
    k_of = (count - int(baseline == "leave_one_out")).clamp(min=1, max=k)
    with_it = 1 - wrong_one * _all_wrong(count - 1, wrong - 1, k_of - 1)
    of_group = 1 - _all_wrong(count, wrong, k_of)
    others = count - 1, wrong - wrong_one
    taken_off = {
        "mean": lambda: of_group,
        "leave_one_out": lambda: 1 - _all_wrong(*others, k_of),
        "leave_one_out_minus_one": lambda: 1 - _all_wrong(*others, k_of - 1),
        "none": lambda: 0.0,
    }
    advantage = with_it - taken_off[baseline]()
    if normalize_std:
        deviation = (of_group * (1 - of_group)).sqrt()
        advantage = (advantage / deviation).where(deviation > 0, 0.0)
    else:
        advantage = advantage * k_of
    has_others = (count > 1) | (baseline == "none")
    return advantage.where(scorable & has_others, 0.0).to(float_dtype(correct))


def _all_wrong(count: Tensor, wrong: Tensor, draws: Tensor) -> Tensor:
    """C(wrong, draws) / C(count, draws): the chance that rollouts drawn without replacement are all wrong."""
    chance = torch.ones_like(count)
    for drawn in range(int(draws.max()) if len(draws) else 0):
        one_more = (wrong - drawn).clamp(min=0) / (count - drawn).clamp(min=1)
        chance = torch.where(drawn < draws, chance * one_more, chance)
    return chance


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
    scorable = ~correct.isnan()
    successes = sum_of_group(correct.double().where(scorable, 0.0), group_index)
    count = sum_of_group(scorable.double(), group_index)
    return (successes / count.clamp(min=1)).to(float_dtype(correct))


def sum_of_group(values: Tensor, group_index: Tensor) -> Tensor:
    """For each rollout, the sum over its group; both are [rollouts].

    Raises:
        UserError: for any other shapes, such as a row for each group.
    """
    if values.shape != group_index.shape or values.dim() != 1:
        raise UserError(
            f"rollouts of shape {list(values.shape)} with a group_index of shape {list(group_index.shape)}: "
            "accepted are flat ones of the same length, an entry a rollout; the nearest are "
            "values.flatten() and torch.arange(groups).repeat_interleave(group_size)"
        )
    _, group = torch.unique(group_index, return_inverse=True)
    return torch.zeros_like(values).index_add(0, group, values)[group]


def _min_of_group(values: Tensor, group_index: Tensor) -> Tensor:
    """For each rollout, the minimum over its group."""
    _, group = torch.unique(group_index, return_inverse=True)
    return torch.full_like(values, torch.inf).scatter_reduce(0, group, values, "amin")[group]


def float_dtype(values: Tensor) -> torch.dtype:
    """Of what is computed from rewards or correctness: theirs, or the default for integers and booleans."""
    return values.dtype if values.is_floating_point() else torch.get_default_dtype()


# The options of `algorithm.advantage`
ADVANTAGES: dict[str, Callable[..., Tensor]] = {
    "group_relative": group_relative,
    "rloo": rloo,
    "reinforce_plus_plus": reinforce_plus_plus,
    "maxrl": maxrl,
    "signed": signed,
    "pass_at_k": pass_at_k,
}
