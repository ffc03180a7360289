"""The runs of a table: every arm under every seed, and which of them some arms can't do without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from rlvr.config import Config, hydra_text, load_config, run_directory
from rlvr.errors import UserError, unknown
from rlvr.files.run_directory import read_summary
from rlvr.runs.select import selection_file
from rlvr.tables.spec import Arm, Select, TableSpec, refuse_repeated


@dataclass(frozen=True, slots=True, eq=False)
class ScheduledRun:
    """One arm under one seed: what will be run, and where.

    Attributes:
        source: the run whose accuracies choose this one's problems, if any.
    """

    arm: Arm
    seed: int
    overrides: list[str]
    config: Config
    source: "ScheduledRun | None" = None

    @property
    def directory(self) -> Path:
        return run_directory(self.config)

    @property
    def trained(self) -> bool:
        return read_summary(self.directory).get("trained_steps") == self.config.training.steps


def schedule_runs(spec: TableSpec, seeds: list[int], base: list[str]) -> list[ScheduledRun]:
    """Every run of a table; the base policy, which is not trained, has one seed only.

    An arm may `ask` for a key that its paper gives no value for. It is scheduled only if `base` has that key,
    which then goes to no other arm.
    """
    refuse_repeated("seed", seeds, spec)
    scheduled: list[ScheduledRun] = []
    asked = {arm.ask for arm in spec.arms if arm.ask}
    given = {o.partition("=")[0]: o for o in base if o.partition("=")[0] in asked}
    base = [override for override in base if override not in given.values()]
    configs: dict[str, Config] = {}  # composing is slow, and seeds differ in nothing else, unless in ${seed}
    rates: dict[str, float] = {}
    for seed in seeds:
        for arm in spec.arms:
            if arm.ask not in (None, *given):
                continue
            overrides = [*spec.overrides, *base, f"arm={arm.name}", *arm.overrides]
            overrides += [given[arm.ask]] if arm.ask else []
            overrides += ["evaluation.last_too=true"] if spec.last_step else []
            overrides += [f"seed={seed}"]
            if arm.times and arm.name not in rates:
                rates[arm.name] = arm.times * load_config(overrides).training.learning_rate
            overrides += [f"training.learning_rate={rates[arm.name]}"] if arm.times else []
            if arm.name not in configs or any("${" in override for override in overrides):
                configs[arm.name] = load_config(overrides)
            run = ScheduledRun(arm, seed, overrides, replace(configs[arm.name], seed=seed))
            if arm.select:
                run = with_selection(run, scheduled)
            if run.config.training.steps or seed == seeds[0]:
                scheduled.append(run)
    return scheduled


def with_selection(run: ScheduledRun, scheduled: list[ScheduledRun]) -> ScheduledRun:
    """The run with the file of its problems, which the arm `select.from` of the same seed is to choose.

    Arms that choose by the same settings share a file; of several settings of one method the first has the
    plain name.
    """
    earlier = {other.arm.name: other for other in scheduled if other.seed == run.seed}
    if (name := run.arm.select.from_) not in earlier:
        raise unknown("arm to select from, before this one", name, earlier)
    source = earlier[name]
    file = selection_file(source.directory, run.config.curriculum.name)
    others = {
        other.config.curriculum.selection: other.arm.select for other in earlier.values() if other.arm.select
    }
    if others.get(str(file), run.arm.select) != run.arm.select:
        settings = (f"{key}={value}" for key, value in settings_of(run.arm.select).items())
        file = file.with_stem("-".join([file.stem, *settings]))
    overrides = [*run.overrides, f"curriculum.selection={hydra_text(str(file))}"]
    return ScheduledRun(run.arm, run.seed, overrides, load_config(overrides), source)


def settings_of(chosen: Select) -> dict[str, float | int]:
    """What an arm's `select` gives of the settings of `rlvr.runs.select.select`."""
    return {key: value for key, value in vars(chosen).items() if key != "from_" and value is not None}


def baselines_of(spec: TableSpec, scheduled: Sequence[ScheduledRun]) -> dict[ScheduledRun, ScheduledRun]:
    """For each run whose checkpoint is chosen among those up to its baseline's choice, that baseline; none
    unless the table says `checkpoint: baseline`, which favours the arm (docs/how-to/read-a-table.md)."""
    by_name = {(run.arm.name, run.seed): run for run in scheduled}
    return {
        run: by_name[run.arm.baseline, run.seed]
        for run in scheduled
        if run.arm.baseline and run.config.evaluation.checkpoint == "best" and spec.checkpoint == "baseline"
    }


def named_arms(spec: TableSpec, names: Sequence[str]) -> list[Arm]:
    """The arms of a table that are named, in its order; all where none are.

    Args:
        names: of arms, or patterns of them as a shell has them: `focal-*`.

    Raises:
        UserError: for a name that no arm has.
    """
    if not names:
        return spec.arms

    def fits(arm: Arm, name: str) -> bool:
        return arm.name == name or fnmatchcase(arm.name, name)

    for name in names:
        if not any(fits(arm, name) for arm in spec.arms):
            raise unknown(f"arm of table {spec.name}", name, spec.arm_labels)
    return [arm for arm in spec.arms if any(fits(arm, name) for name in names)]


def runs_of(
    spec: TableSpec, scheduled: Sequence[ScheduledRun], names: Sequence[str] = ()
) -> list[ScheduledRun]:
    """The runs of the arms that are named, and those that they depend on; all where none are named.

    A run depends on the one that chooses its problems, and on the baseline whose choice bounds its own
    (`baselines_of`). An arm that it is only compared with is not among them.

    Args:
        scheduled: every run of the table.
        names: as in `named_arms`.

    Raises:
        UserError: as `named_arms`, and where the paper gives no value for a key of all arms that are named.
    """
    arms, bounds = named_arms(spec, names), baselines_of(spec, scheduled)
    found: set[ScheduledRun] = set()
    waiting = [run for run in scheduled if run.arm in arms]
    if not waiting:
        raise UserError(
            f"{arms[0].name} is not run: its paper gives no {arms[0].ask}; write {arms[0].ask}=..."
        )
    while waiting:
        run = waiting.pop()
        found.add(run)
        waiting += [other for other in (run.source, bounds.get(run)) if other and other not in found]
    return [run for run in scheduled if run in found]
