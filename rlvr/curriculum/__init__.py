"""Which problem next, and how many rollouts for it."""

from collections.abc import Sequence
from typing import Any, Protocol

from rlvr.config import Config
from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.problems.problem import Problem


class Curriculum(Protocol):
    """Draws batches of (problem, group size), and can be stopped and resumed between any two."""

    @property
    def epoch(self) -> float: ...

    def next_batch(self) -> list[tuple[Problem, int]]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def build_curriculum(config: Config, problems: Sequence[Problem]) -> Curriculum:
    """The curriculum a config names."""
    return ShuffledCurriculum(
        problems,
        group_size=config.group_size.n,
        batch_size=config.training.prompts_per_step,
        seed=config.seed,
    )
