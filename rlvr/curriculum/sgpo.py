"""sGPO (arXiv 2606.08854): drop what is solved anyway, then go from easy problems to hard ones.

The profile of the initial policy decides everything: problems that it nearly always solves are left out;
those it solves sometimes are trained on cluster by cluster, small groups (easy) first; of those it never
solves, a fixed random subset is mixed into every cluster. Within a phase all groups have one size.

The budget is in queries: every step asks `batch_size` problems, so an easy phase costs fewer rollouts.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal

import numpy as np

from rlvr.config.limits import Limits
from rlvr.curriculum.profile import Profile
from rlvr.data import UNSCORABLE, Group, Problem, Verdict
from rlvr.errors import UserError, say


@dataclass(frozen=True, slots=True)
class Phase:
    """The problems that are trained on together, and the group size of all of them."""

    group_size: int
    problems: list[Problem]


def sgpo_phases(
    problems: Sequence[Problem],
    profile: Profile,
    group_size: Callable[[Problem], int],
    *,
    threshold: float = 0.75,
    unsolved_share: float = 0.1,
    seed: int = 0,
) -> list[Phase]:
    """One phase a group size, smallest first (section 4.3).

    Args:
        group_size: of a problem that is solved sometimes. A constant makes one phase: filtering alone.
        threshold: a success rate above it is trivial, and left out; one equal to it is kept.
        unsolved_share: of the problems with success rate 0, mixed into every phase at that phase's size.
        seed: of the draw of that subset, which is the same in every phase.

    Raises:
        UserError: if no problem is solved sometimes.
    """
    unsolved: list[Problem] = []
    clusters: dict[int, list[Problem]] = {}
    for problem in problems:
        success_rate = profile.success_rate(problem)
        if success_rate == 0:
            unsolved.append(problem)
        elif success_rate <= threshold:
            clusters.setdefault(group_size(problem), []).append(problem)
    if not clusters:
        raise UserError(
            f"none of {len(problems)} profiled problems has a success rate above 0 and up to {threshold}: "
            "choose other data, or raise curriculum.threshold"
        )
    kept = random.Random(seed).sample(unsolved, round(unsolved_share * len(unsolved)))
    return [Phase(size, [*cluster, *kept]) for size, cluster in sorted(clusters.items())]


def has_plateaued(rewards: Sequence[float], window: int, minimum_gain: float) -> bool:
    """Whether the last `window` rewards are on average less than `minimum_gain` above the `window` before."""
    if len(rewards) < 2 * window:
        return False
    before, last = rewards[-2 * window : -window], rewards[-window:]
    return float(np.mean(last) - np.mean(before)) < minimum_gain


@dataclass(slots=True)
class SGPOCurriculum:
    """Yields batches of one phase after another; the last phase goes on for as long as it is asked.

    An order of a phase's problems is a function of (seed, phase, epoch of the phase); a batch may reach
    from one epoch into the next.

    Args:
        steps: of the whole training; `phase_end=steps` gives every phase an equal share of them.
        phase_end, epochs, window, minimum_gain: as in `sgpo_curriculum`.
    """

    phases: Sequence[Phase]
    _: KW_ONLY
    steps: int
    batch_size: int
    seed: int
    phase_end: str = "steps"
    epochs: float = 1
    window: int = 10
    minimum_gain: float = 0.01
    # where it is
    phase: int = field(default=0, init=False)
    asked: int = field(default=0, init=False)  # problems, in this phase
    observed: int = field(default=0, init=False)  # training steps, in all phases
    rewards: list[float] = field(default_factory=list, init=False)  # success rate of each of this phase

    @property
    def epoch(self) -> float:
        """Epochs of the present phase."""
        return self.asked / len(self.phases[self.phase].problems)

    def next_batch(self) -> list[tuple[Problem, int]]:
        phase = self.phases[self.phase]
        places = range(self.asked, self.asked + self.batch_size)
        self.asked += self.batch_size
        size = len(phase.problems)
        orders = {epoch: self._order(epoch) for epoch in {place // size for place in places}}
        chosen = [orders[place // size][place % size] for place in places]
        return [(phase.problems[index], phase.group_size) for index in chosen]

    def _order(self, epoch: int) -> list[int]:
        order = list(range(len(self.phases[self.phase].problems)))
        random.Random(f"{self.seed}/{self.phase}/{epoch}").shuffle(order)
        return order

    def observe(self, groups: Sequence[Group]) -> None:
        """Take note of a step's verified groups; go to the next phase if this one is over."""
        size = self.phases[self.phase].group_size  # of no other: a step sampled ahead may be of the last one
        present = [group for group in groups if len(group.completions) == size]
        verdicts = [verdict for group in present for verdict in group.verdicts if verdict not in UNSCORABLE]
        self.observed += 1
        if verdicts:
            self.rewards.append(verdicts.count(Verdict.CORRECT) / len(verdicts))
        if self.phase + 1 < len(self.phases) and self._is_over():
            self.phase += 1
            self.asked = 0
            self.rewards = []

    def _is_over(self) -> bool:
        if self.phase_end == "plateau":
            return has_plateaued(self.rewards, self.window, self.minimum_gain)
        if self.phase_end == "epochs":
            return self.epoch >= self.epochs
        return self.observed * len(self.phases) >= (self.phase + 1) * self.steps

    def metrics(self) -> dict[str, float]:
        return {
            "curriculum/epoch": self.epoch,
            "curriculum/phase": float(self.phase),
            "curriculum/group_size": float(self.phases[self.phase].group_size),
        }

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("phase", "asked", "observed", "rewards")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def sgpo_curriculum(
    problems: Sequence[Problem],
    profile: Profile,
    group_size: Callable[[Problem], int],
    steps: int,
    batch_size: int,
    run_seed: int,
    *,
    threshold: Annotated[float, Limits(above=0, at_most=1)] = 0.75,
    unsolved_share: Annotated[float, Limits(at_least=0, at_most=1)] = 0.1,
    seed: Annotated[int, Limits(at_least=0, at_most=2**32 - 1)] = 0,
    phase_end: Literal["steps", "epochs", "plateau"] = "steps",
    epochs: Annotated[float, Limits(above=0)] = 1,
    window: Annotated[int, Limits(at_least=1)] = 10,
    minimum_gain: Annotated[float, Limits()] = 0.01,
) -> SGPOCurriculum:
    """sGPO's phases, as `curriculum=sgpo`.

    Args:
        threshold: a success rate above it is trivial: such a problem is left out.
        unsolved_share: of the problems never solved, mixed into every phase.
        seed: of that subset.
        phase_end: after equal shares of the steps, after `epochs`, or at a plateau.
        epochs: of a phase.
        window: steps over which a plateau is looked for.
        minimum_gain: in success rate; less is a plateau.
    """
    phases = sgpo_phases(
        problems, profile, group_size, threshold=threshold, unsolved_share=unsolved_share, seed=seed
    )
    shortest = {"steps": 1, "epochs": 0, "plateau": 2 * window}[phase_end]  # steps of a phase
    if 0 < steps <= (len(phases) - 1) * shortest:
        say(
            f"curriculum=sgpo: training.steps={steps} ends before phase {-(-steps // shortest) + 1} of "
            f"{len(phases)}, so the hardest problems are never trained on; more than "
            f"{(len(phases) - 1) * shortest} may reach all phases"
        )
    return SGPOCurriculum(
        phases,
        steps=steps,
        batch_size=batch_size,
        seed=run_seed,
        phase_end=phase_end,
        epochs=epochs,
        window=window,
        minimum_gain=minimum_gain,
    )
