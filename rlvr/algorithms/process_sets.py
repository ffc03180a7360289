"""Process sets: the rollouts of a group that still agree (λ-GRPO, arXiv 2509.21154).

The process set of token t of completion i holds the rollouts of the group whose first t + 1 tokens equal
those of i. A process step is a run of tokens with one process set, and the steps form the tree of the
group: its root is what all share, each leaf is what one completion (with its duplicates) has alone.

Sorted by their tokens, completions that share a prefix stand next to each other, and how much neighbours
share says everything about the tree. So no two completions are compared but neighbours, and the work is
linear in the number of tokens.

λ-GRPO divides the whole loss of a token, KL included, by the size of its process set; the normaliser
stays the plain number of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from rlvr.algorithms.advantages import group_relative_advantages

Completions = Sequence[Sequence[int] | np.ndarray | Tensor]
"""The token ids of the completions of one group; lengths may differ and may be 0."""


def process_set_sizes(completions: Completions) -> list[Tensor]:
    """The number of rollouts in the process set of each token.

    Args:
        completions: token ids of each rollout of one group, as lists, numpy arrays or tensors.

    Returns:
        One 1-D int64 tensor a completion, of its length, on the CPU. Values never rise along a completion.
    """
    return _sum_over_process_sets(completions, np.ones(len(completions), dtype=np.int64))


def process_step_advantages(
    completions: Completions, rewards: Tensor | Sequence[float], *, ddof: int = 1, eps: float = 1e-6
) -> list[Tensor]:
    """The advantage (R - mean) / (std + eps) of each token's process step, R the mean reward of its set.

    Mean and std are those of the whole group. This is the process reward of Theorem 1: with it in place of
    the rollout's advantage, the token-normalised GRPO loss is the same. It serves to check that;
    training needs `process_set_sizes` alone.

    Args:
        completions: token ids of each rollout of one group, as lists, numpy arrays or tensors.
        rewards: [rollouts]; NaN is unscorable, is left out of every mean and has advantage 0.
        ddof: as in `group_relative_advantages`.
        eps: as in `group_relative_advantages`.

    Returns:
        One 1-D tensor a completion, of its length, on the CPU; float64, or the dtype of `rewards` if that
        is a floating-point tensor.
    """
    is_float = isinstance(rewards, Tensor) and rewards.is_floating_point()
    dtype = rewards.dtype if is_float else torch.float64
    rewards = torch.as_tensor(rewards, dtype=torch.float64, device="cpu")
    one_group = torch.zeros(len(rewards), dtype=torch.int64)
    # The mean of the members' advantages is the step's: normalising is linear in the reward.
    advantages = group_relative_advantages(rewards, one_group, ddof=ddof, eps=eps)
    scorable = ~rewards.isnan()
    totals = _sum_over_process_sets(completions, advantages.numpy())
    members = _sum_over_process_sets(completions, scorable.long().numpy())
    return [
        (total / count.clamp(min=1) * is_scorable).to(dtype)
        for total, count, is_scorable in zip(totals, members, scorable, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class ProcessTreeStatistics:
    """Shape of the process tree of one group (λ-GRPO, experiment 1).

    Attributes:
        is_flat: no token is shared by two rollouts, so that λ-GRPO is GRPO.
        mean_path_depth: process steps from the root to a leaf, the mean over completions; 1 when flat.
        intermediate_proportion: share of a completion's tokens that lie in steps of two rollouts or more,
            the mean over completions.

    Empty completions have no path and are left out; without any other, both means are 0.
    """

    is_flat: bool
    mean_path_depth: float
    intermediate_proportion: float


def process_tree_statistics(completions: Completions) -> ProcessTreeStatistics:
    """Depth of the tree of one group and how much of it is shared."""
    sizes = [size.numpy() for size in process_set_sizes(completions) if len(size)]
    if not sizes:
        return ProcessTreeStatistics(is_flat=True, mean_path_depth=0.0, intermediate_proportion=0.0)
    lengths = np.array([len(size) for size in sizes])
    first = np.cumsum(lengths) - lengths
    flat = np.concatenate(sizes)
    # Sets along a path are nested, so that a step begins with a completion and wherever the size falls.
    begins = np.diff(flat, prepend=0) != 0
    begins[first] = True
    shared = np.add.reduceat(flat > 1, first, dtype=np.int64) / lengths
    return ProcessTreeStatistics(
        is_flat=not shared.any(),
        mean_path_depth=float(begins.sum() / len(sizes)),
        intermediate_proportion=float(shared.mean()),
    )


def _sum_over_process_sets(completions: Completions, values: np.ndarray) -> list[Tensor]:
    """For each token, the sum of `values` (one a rollout) over its process set."""
    on_cpu = [c.cpu() if isinstance(c, Tensor) else c for c in completions]
    tokens = [np.asarray(completion, dtype=np.int64) for completion in on_cpu]
    sums = [np.full(len(row), value) for row, value in zip(tokens, values, strict=True)]
    # Any order that keeps equal prefixes together will do; comparing bytes is the fastest.
    order = sorted(range(len(tokens)), key=[row.tobytes() for row in tokens].__getitem__)
    neighbours = [
        (above, below, shared_length(tokens[above], tokens[below])) for above, below in pairwise(order)
    ]
    # Going down, each row adds up what stands above it in its set; the last row of a set then has the
    # whole sum, and going back up hands it to the others.
    for above, below, shared in neighbours:
        sums[below][:shared] += sums[above][:shared]
    for above, below, shared in reversed(neighbours):
        sums[above][:shared] = sums[below][:shared]
    return [torch.from_numpy(row) for row in sums]


def shared_length(first: np.ndarray, second: np.ndarray) -> int:
    """Number of leading tokens that are equal."""
    length = min(len(first), len(second))
    return int(np.append(first[:length] != second[:length], True).argmax())
