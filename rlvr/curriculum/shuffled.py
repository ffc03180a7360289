"""Every problem once an epoch, in an order drawn anew each epoch."""

import random
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from rlvr.data import Group, Problem
from rlvr.errors import UserError


@dataclass
class ShuffledCurriculum:
    """Yields batches of (problem, group size); an epoch's last incomplete batch is left out.

    The order is a function of (seed, epoch) alone, so the state to resume from is the number of
    batches drawn so far.
    """

    problems: Sequence[Problem]
    _: KW_ONLY
    group_size: Callable[[Problem], int]
    batch_size: int
    seed: int
    drawn: int = field(default=0, init=False)
    _ordered_epoch: int = field(default=-1, init=False)  # whose order `_order` is
    _order: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if (count := len(self.problems)) < self.batch_size:
            raise UserError(
                f"training.prompts_per_step={self.batch_size} is more than the {count} problems to train "
                f"on; the nearest valid choice is training.prompts_per_step={count} with "
                f"training.mini_batch_prompts={count} or a divisor"
            )

    @property
    def batches_per_epoch(self) -> int:
        return len(self.problems) // self.batch_size

    @property
    def epoch(self) -> float:
        """Epochs drawn so far, counted in batches."""
        return self.drawn / self.batches_per_epoch

    def next_batch(self) -> list[tuple[Problem, int]]:
        epoch, batch = divmod(self.drawn, self.batches_per_epoch)
        self.drawn += 1
        if epoch != self._ordered_epoch:
            self._order = list(range(len(self.problems)))
            random.Random(f"{self.seed}/{epoch}").shuffle(self._order)
            self._ordered_epoch = epoch
        chosen = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        problems = [self.problems[index] for index in chosen]
        return [(problem, self.group_size(problem)) for problem in problems]

    def observe(self, groups: Sequence[Group]) -> None:
        """The order does not depend on what the policy answers."""

    def metrics(self) -> dict[str, float]:
        return {"curriculum/epoch": self.epoch}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


def shuffled_curriculum(
    problems: Sequence[Problem], group_size: Callable[[Problem], int], batch_size: int, run_seed: int
) -> ShuffledCurriculum:
    """All problems, as `curriculum=shuffled`."""
    return ShuffledCurriculum(problems, group_size=group_size, batch_size=batch_size, seed=run_seed)
