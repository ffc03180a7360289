"""Which problem next, and how many rollouts for it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rlvr.config import Config
from rlvr.config.plugins import added
from rlvr.config.registry import Method
from rlvr.curriculum.group_size import build_group_size, inverse_success_group_size
from rlvr.curriculum.lim import Selection, learning_impact, selected_curriculum
from rlvr.curriculum.profile import Profile
from rlvr.curriculum.sgpo import sgpo_curriculum
from rlvr.curriculum.shuffled import shuffled_curriculum
from rlvr.data import Group, Problem

__all__ = [
    "CURRICULA",
    "Curriculum",
    "build_curriculum",
    "inverse_success_group_size",
    "learning_impact",
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


# The options of `curriculum`: functions that return a `Curriculum`. One that takes `profile` needs a profile,
# one that takes `selected` a selection, by a key `selection` of its own.
CURRICULA: dict[str, Callable[..., Curriculum]] = {
    "shuffled": shuffled_curriculum,
    "sgpo": sgpo_curriculum,
    "lim": selected_curriculum,
    "linear": selected_curriculum,
    "random_subset": selected_curriculum,
}


def build_curriculum(
    config: Config,
    problems: Sequence[Problem],
    profile: Profile | None = None,
    selection: Selection | None = None,
) -> Curriculum:
    """The curriculum a config names; the profile or selection must be there if it needs one."""
    options = config.curriculum
    method = Method(options.name, added("curricula", CURRICULA)[options.name], options)
    return method(
        {
            "problems": problems,
            "group_size": build_group_size(config, profile),
            "steps": config.training.steps,
            "batch_size": config.training.prompts_per_step,
            "run_seed": config.seed,
            "profile": profile,
            "selected": set(selection.selected) if selection else None,
        }
    )
