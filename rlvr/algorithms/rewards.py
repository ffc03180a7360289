"""What is added to a reward before advantages are taken."""

from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor

from rlvr.config.limits import Limits


def overlong_penalty(
    lengths: Tensor,
    max_tokens: int,
    *,
    buffer: Annotated[int, Limits(at_least=0)] = 0,
    factor: Annotated[float, Limits(at_least=0)] = 1.0,
) -> Tensor:
    """What DAPO adds to the reward of a long completion (arXiv 2503.14476, section 3.4), in [-factor, 0].

    0 up to max_tokens - buffer tokens, then falling in a straight line to -factor at max_tokens.

    Args:
        lengths: any shape, tokens of completions.
        max_tokens: of the longest completion that can be sampled.
        buffer: last tokens before the maximum in which the penalty grows; 0 switches it off.
        factor: the largest penalty.
    """
    if buffer == 0:
        return torch.zeros(lengths.shape)
    exceeded = lengths - (max_tokens - buffer)
    return -factor * (exceeded / buffer).clamp(0, 1)


class DifferentialSmoothing:
    """What DS-GRPO adds to the reward of a completion (Gai et al. 2025, arXiv 2511.19942).

    A correct completion gets -c log pi(o|x), more the rarer it is; a wrong one gets w log pi(o|x), less the
    rarer it is. It is read here as that paper's abstract has it, a change of the reward, so it goes through
    the group's normalisation: correct rollouts of a group that is all correct have a signal too. F-GRPO
    compares with it (Table 3) and gives no coefficient. What could not be judged (NaN) stays NaN.

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
        """`logprobs` are those of whole completions under the sampling policy, in nats."""
        return logprobs * torch.where(correct == 1, -self.correct, self.wrong * (1 + 0 * correct))


# Each is a key of `algorithm`, and adds its result (float [R]) to the rewards where one of its own keys is
# not at its default: at the defaults it adds nothing
REWARDS: dict[str, Callable[..., Tensor]] = {
    "overlong_penalty": overlong_penalty,
    "differential_smoothing": DifferentialSmoothing,
}
