"""Credit: the weight of each token of a rollout in the loss."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rlvr.algorithms.process_sets import process_set_sizes


def outcome(completions: Sequence[Sequence[int]]) -> list[Tensor]:
    """Weight 1 for every token."""
    lengths = [len(token_ids) for token_ids in completions]
    return list(torch.ones(sum(lengths)).split(lengths))


def process_lambda(completions: Sequence[Sequence[int]]) -> list[Tensor]:
    """One over the number of completions that share the token and all before it (λ-GRPO, eq. 9)."""
    return [1.0 / size.float() for size in process_set_sizes(completions)]


# The options of `credit`: functions of the token ids of the scorable completions of one group, which return a
# weight for each token (float32, one tensor a completion)
CREDITS: dict[str, Callable[..., list[Tensor]]] = {"outcome": outcome, "process_lambda": process_lambda}
