"""What is added to a reward before advantages are taken."""

import torch
from torch import Tensor

from rlvr.errors import UserError


def soft_overlong_penalty(length: Tensor, max_length: int, buffer: int, factor: float) -> Tensor:
    """What DAPO adds to the reward of a long completion (arXiv 2503.14476, section 3.4), in [-factor, 0].

    0 up to max_length - buffer tokens, then falling in a straight line to -factor at max_length.

    Args:
        length: any shape, lengths of completions in tokens.
        max_length: the longest completion that can be sampled, in tokens.
        buffer: the tokens before max_length over which the penalty grows.
        factor: the penalty at max_length, at least 0.

    Raises:
        UserError: a buffer outside [1, max_length] or a negative factor.
    """
    if not 1 <= buffer <= max_length:
        raise UserError(
            f"overlong buffer {buffer} is not accepted: it must lie in [1, {max_length}] (max_length)"
        )
    if not factor >= 0:
        raise UserError(f"overlong factor {factor} is not accepted: it must be at least 0")
    exceeded = torch.as_tensor(length) - (max_length - buffer)
    return -factor * (exceeded / buffer).clamp(0, 1)
