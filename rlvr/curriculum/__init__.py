"""Which problem next, and how many rollouts for it."""

from collections.abc import Sequence
from typing import Any, Protocol

from rlvr.config import Config
from rlvr.curriculum.group_size import build_group_size, inverse_success_group_size
from rlvr.curriculum.lim import Selection, fill_gaps, learning_impact, steady_improvement
from rlvr.curriculum.profile import Profile
from rlvr.curriculum.sgpo import SGPOCurriculum, sgpo_phases
from rlvr.curriculum.shuffled import ShuffledCurriculum
from rlvr.data import Group, Problem

__all__ = [
    "Curriculum",
    "build_curriculum",
    "fill_gaps",
    "inverse_success_group_size",
    "learning_impact",
    "steady_improvement",
]


class Curriculum(Protocol):
    """Draws batches of (problem, group size), and can be stopped and resumed between any two steps.

    A step draws one batch or, with dynamic sampling, several; then `observe` gets all their groups.
    """

    @property
    def epoch(self) -> float: ...

    def next_batch(self) -> list[tuple[Problem, int]]: ...

    def observe(self, groups: Sequence[Group]) -> None: ...

    def metrics(self) -> dict[str, float]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def build_curriculum(
    config: Config,
    problems: Sequence[Problem],
    profile: Profile | None = None,
    selection: Selection | None = None,
) -> Curriculum:
    """The curriculum a config names; the profile or selection must be there if it needs one."""
    group_size = build_group_size(config, profile)
    batch_size, options = config.training.prompts_per_step, config.curriculum
    if options.name == "sgpo":
        assert profile is not None
        phases = sgpo_phases(
            problems,
            profile,
            group_size,
            threshold=options.threshold,
            unsolved_share=options.unsolved_share,
            seed=options.seed,
        )
        return SGPOCurriculum(
            phases, options, steps=config.training.steps, batch_size=batch_size, seed=config.seed
        )
    if selection is not None:
        selected = set(selection.selected)
        problems = [problem for problem in problems if problem.id in selected]
    return ShuffledCurriculum(problems, group_size=group_size, batch_size=batch_size, seed=config.seed)
