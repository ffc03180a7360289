"""Advantages as verl asks for them: from padded token rewards, a mask, and a group id a rollout.

verl hands an estimator the reward of each rollout and nothing else about it, and its rewards may be shaped.
So here the reward verl carries is raw correctness, and shaping happens in the estimator: the focal weight
then always sees what it should (F-GRPO, eq. 11).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlvr.algorithms import process_set_sizes
from rlvr.config import Config, config_from_yaml
from rlvr.training.batch import rewards_and_advantages

UNSCORABLE = -1.0  # the reward of a rollout that could not be judged; verl's own metrics don't survive a NaN


def estimate_advantages(
    token_level_rewards: Tensor,
    response_mask: Tensor,
    index: np.ndarray | None = None,
    config: Mapping[str, Any] | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """The advantage of every token, by the algorithm and scaling of `config["rlvr"]["config"]`.

    Args:
        token_level_rewards: [rollouts, longest completion]; each row sums to 1, 0 or `UNSCORABLE`.
        response_mask: same shape, 1 on completion tokens; a row without any is verl's padding and no rollout.
        index: [rollouts], the id of the group of each; any hashable values, in any order.
        config: verl's `algorithm` section.

    Returns:
        Advantages and returns, which are the same here: float, of the shape of the rewards, 0 off the mask.
    """
    assert index is not None, "verl's data have no uid: groups can't be told apart"
    assert config is not None
    settings = read_config(config["rlvr"]["config"])
    score_R, length_R = token_level_rewards.sum(dim=-1), response_mask.sum(dim=-1)
    correct_R = torch.where((score_R < 0) | (length_R == 0), torch.nan, score_R)
    _, group_R = np.unique(np.asarray(index).astype(str), return_inverse=True)
    _, _, advantage_R = rewards_and_advantages(correct_R, length_R, torch.from_numpy(group_R), settings)
    advantage_RT = advantage_R[:, None] * response_mask
    return advantage_RT, advantage_RT


def fold_process_weights(
    advantages: Sequence[Tensor], responses: Sequence[Tensor], rewards: Sequence[Tensor], index: Sequence[Any]
) -> list[Tensor]:
    """Each token's advantage over the size of its process set (λ-GRPO, eq. 9).

    The policy losses are proportional to the advantage for a weight above 0, so this is the weight on the
    loss that the native learner takes. A KL term would have to be weighted too, and is refused beforehand.
    Rollouts that could not be judged are in no process set, as in the native learner.

    Args:
        advantages: one 1-D tensor a rollout, of its length.
        responses: token ids, likewise.
        rewards: rewards by token, likewise.
        index: the id of the group of each rollout.
    """
    folded = list(advantages)
    judged = [row for row, reward in enumerate(rewards) if reward.sum() >= 0]
    for group in dict.fromkeys(index):
        members = [row for row in judged if index[row] == group]
        sizes = process_set_sizes([responses[row] for row in members])
        for row, size in zip(members, sizes, strict=True):
            folded[row] = advantages[row] / size.to(advantages[row])
    return folded


@cache
def read_config(path: str) -> Config:
    """The rlvr config that verl's config points to."""
    return config_from_yaml(Path(path))
