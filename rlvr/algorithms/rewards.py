"""What is added to a reward before advantages are taken."""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from rlvr.config.limits import Limits
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


def overlong_penalty(
    lengths: Tensor,
    max_tokens: int,
    *,
    buffer: Annotated[int, Limits(at_least=0)] = 0,
    factor: Annotated[float, Limits(at_least=0)] = 1.0,
) -> Tensor:
    """`soft_overlong_penalty`, as `algorithm.overlong_penalty`.

    Args:
        buffer: last tokens before the maximum in which the penalty grows; 0 switches it off.
        factor: the largest penalty.
    """
    if buffer == 0:
        return torch.zeros(lengths.shape)
    return soft_overlong_penalty(lengths, max_tokens, buffer, factor)


class DifferentialSmoothing:
    """`differential_smoothing`, as `algorithm.differential_smoothing` (DS-GRPO).

    Args:
        correct: coefficient of the log-probability taken off the reward of correct ones; 0 switches it off.
        wrong: coefficient of the log-probability added to the reward of wrong ones; 0 switches it off.
    """

    def __init__(
        self,
        *,
        correct: Annotated[float, Limits(at_least=0)] = 0.0,
        wrong: Annotated[float, Limits(at_least=0)] = 0.0,
    ):
        self.correct, self.wrong = correct, wrong

    def __call__(self, logprobs: Tensor, correct: Tensor) -> Tensor:
        return differential_smoothing(logprobs, correct, of_correct=self.correct, of_wrong=self.wrong)


# Each is a key of `algorithm`, and adds its result (float [R]) to the rewards where one of its own keys is
# not at its default: at the defaults it adds nothing
REWARDS: dict[str, Callable[..., Tensor]] = {
    "overlong_penalty": overlong_penalty,
    "differential_smoothing": DifferentialSmoothing,
}
