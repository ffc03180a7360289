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


def differential_smoothing(logprob: Tensor, correct: Tensor, *, of_correct: float, of_wrong: float) -> Tensor:
    """What DS-GRPO adds to the reward of a completion (Gai et al. 2025, arXiv 2511.19942).

    A correct completion gets -of_correct log pi(o|x), more the rarer it is; a wrong one gets
    of_wrong log pi(o|x), less the rarer it is. It is read here as that paper's abstract has it, a change of
    the reward, so it goes through the group's normalisation: correct rollouts of a group that is all
    correct have a signal too. F-GRPO compares with it (Table 3) and gives no coefficient.

    Args:
        logprob: any shape, log-probability of each whole completion under the sampling policy, nats.
        correct: same shape, 1, 0, or NaN where nothing could be judged, which stays NaN.
        of_correct, of_wrong: the coefficients, at least 0.

    Raises:
        UserError: a negative coefficient.
    """
    if not (of_correct >= 0 and of_wrong >= 0):
        raise UserError(
            f"differential smoothing got the coefficients {of_correct} and {of_wrong}: accepted are 0 or more"
        )
    return logprob * torch.where(correct == 1, -of_correct, of_wrong * (1 + 0 * correct))
