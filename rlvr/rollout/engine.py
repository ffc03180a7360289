"""What the loop and the evaluation ask of anything that samples completions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from rlvr.data import Group, Problem
from rlvr.errors import UserError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn.

    Attributes:
        max_tokens: longest completion, in tokens.
        temperature: divides the logits; training samples at 1, so that sampling log-probs are the policy's.
            0 is greedy decoding: always the likeliest token, whatever top_p and top_k say. All completions of
            a problem are then one and the same, and their log-probabilities are the policy's own, those at
            temperature 1, as the ones of the distribution that was sampled from would all be 0.
        top_p: smallest set of tokens with at least this probability is kept; 1 keeps all.
        top_k: number of most likely tokens that are kept; 0 keeps all.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0


def not_numbers() -> UserError:
    """The sentence for logits with NaN or infinity among them, from which any engine would draw something."""
    return UserError(
        "the policy's probabilities are NaN, as its weights are too large to compute with: go back to an "
        "earlier checkpoint, with a lower training.learning_rate"
    )


Part = tuple[int, range]
"""Some rollouts of a request: its position among the requests, and which of its rollouts, from 0."""


class RolloutEngine(Protocol):
    """Samples completions from a policy whose weights can be replaced at any time.

    `policy_version` counts weight updates; every completion carries the version that made it. A class that
    derives from this one and holds nothing need not say so.
    """

    policy_version: int

    def generate(
        self,
        requests: Sequence[tuple[Problem, int]],
        sampling: Sampling,
        *,
        seed: int,
        only: Sequence[Part] | None = None,
    ) -> list[Group]:
        """Sample `group_size` completions for each (problem, group_size), in the order of `requests`.

        The same weights, requests, sampling and seed give the same tokens. With `only`, ascending parts of
        the requests, those alone are sampled, and a group a part is returned: the same tokens as among all,
        up to rounding, so that several engines may share the work.
        """
        ...

    def update_weights(self, named_tensors: Iterable[tuple[str, torch.Tensor]], version: int) -> None:
        """Take over new weights (names as in the transformers model) without a restart."""
        ...

    def rest(self) -> None:
        """Give back what the trainer can use: nothing is sampled from here to the next `update_weights`."""

    def timing(self) -> dict[str, float]:
        """What an engine knows of the last `generate` that the clock of the loop does not; {} if nothing."""
        return {}

    def close(self) -> None:
        """Free what the engine holds."""


class EngineWhenNeeded(RolloutEngine):
    """One that is opened for the first completions asked of it: not at all where all of them are there.

    Args:
        opened: opens it, with the weights that it samples from.
    """

    def __init__(self, opened: Callable[[], RolloutEngine]):
        self._opened = opened
        self._engine: RolloutEngine | None = None

    def generate(self, *arguments: Any, **named: Any) -> list[Group]:
        self._engine = self._engine or self._opened()
        return self._engine.generate(*arguments, **named)

    def close(self) -> None:
        if self._engine:
            self._engine.close()
