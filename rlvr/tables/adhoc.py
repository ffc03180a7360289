"""A table of runs that no file in `experiments/` describes: its arms are told from the keys that differ."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import yaml

from rlvr.errors import UserError, nearest, unknown
from rlvr.files.run_files import RunFiles
from rlvr.tables.settings import (
    Settings,
    differing,
    evaluated_settings,
    filled,
    is_number,
    judged_settings,
    named_key,
    names_of,
    ranks,
    said,
    settings_of,
    short_names,
    short_values,
    telling,
    trained_settings,
    value_of,
)
from rlvr.tables.spec import Arm, Sweep, TableSpec

FILE_KEYS = ("metrics", "columns", "labels", "sweep", "arms")
PLAIN = ("advantage_scaling=none", "credit=outcome")  # what other options are held against
DOMAIN_LABELS = {"in_domain": "In-domain", "out_of_domain": "Out-of-domain"}


@dataclass(frozen=True)
class Wish:
    """What a person says of an ad-hoc table; all of it may be left to the runs.

    Attributes:
        x: a key with numbers, the axis of the figure over them.
        series: a key, a line of that figure for each of its values.
        baseline: an arm, or `key=value` for the arm that differs in these keys alone.
        k: of pass@k.
        name: of the table, in the names of its files.
        repeat: the command that makes it again.
    """

    x: str | None = None
    series: str | None = None
    baseline: str | None = None
    k: Sequence[int] = ()
    name: str | None = None
    repeat: str = ""


@dataclass(frozen=True)
class Grid:
    """What tells the arms of some runs apart.

    Attributes:
        keys: that differ, without those that follow from another one of their group.
        arms: arm -> its settings of these keys, in the order of the table.
        all: every key of any run, for sentences.
    """

    keys: list[str]
    arms: dict[str, Settings]
    all: Settings = field(default_factory=dict)

    def short(self, key: str) -> str:
        """A key as people say it: `algorithm` for algorithm.name, `gamma` where no other key ends so."""
        return short_names(self.keys).get(key, key)

    def label(self, arm: str, without: Sequence[str] = ()) -> str:
        """The settings of an arm in short, as in "gamma=0.5, n=8"."""
        return ", ".join(self.setting(arm, key) for key in self.arms[arm] if key not in without)

    def setting(self, arm: str, key: str) -> str:
        """A key with an arm's value of it, in short."""
        values = short_values(settings.get(key) for settings in self.arms.values())
        return f"{self.short(key)}={values[said(self.arms[arm].get(key))]}"

    def value(self, key: str, given: str) -> Any:
        """The value that a person means by what is said of it, or what YAML makes of that."""
        value = yaml.safe_load(given)
        known = (settings[key] for settings in self.arms.values() if key in settings)
        return next((one for one in known if said(value) in names_of(one)), value)

    def key(self, given: str) -> str:
        """The differing key that a person means by its name, or by the end of it.

        Raises:
            UserError: for one that there is not, or that is the same in all arms.
        """
        if found := named_key(given, self.keys):
            return found
        differing = f"the keys that differ are {', '.join(map(self.short, self.keys)) or 'none'}"
        if same := named_key(given, self.all):
            value = said(self.all[same])
            raise UserError(f"{given} is {value} in all arms, or follows from another key: {differing}")
        raise UserError(f"unknown key {given!r}: {differing}{nearest(given, map(self.short, self.keys))}")


def table_of_runs(
    runs: Sequence[RunFiles], wish: Wish | None = None, like: TableSpec | None = None
) -> TableSpec:
    """A table of the arms and benchmarks of some runs of one experiment.

    Args:
        like: a table whose labels hold where it has them.
    """
    trained = [] if wish else [run for run in runs if run.trains]  # a report of one run is called by it
    wish, like = wish or Wish(), like or TableSpec()
    grid = grid_of(runs)
    arms = [Arm(arm, like.arm_labels.get(arm, label)) for arm, label in labels_of(runs, grid).items()]
    columns: dict[str, list[str]] = {}
    for run in runs:
        for benchmark, task in run.config.benchmark.tasks.items():
            if benchmark not in columns.setdefault(task.domain, []):
                columns[task.domain].append(benchmark)
    ks = wish.k or (min(runs[-1].config.evaluation.k), max(runs[-1].config.evaluation.k))
    name = wish.name or runs[0].config.experiment
    spec = TableSpec(
        name=name,
        title=f"{arms[-1].label}, seed {trained[0].seed}" if len(trained) == 1 else name,
        metrics=[f"pass@{k}" for k in dict.fromkeys(ks)],
        columns=columns,
        labels=DOMAIN_LABELS | like.labels,
        arms=arms,
        repeat=wish.repeat,
    )
    if wish.baseline:
        baselines = baselines_of(grid, wish.baseline, arms)
        spec.arms = [replace(arm, baseline=baselines.get(arm.name)) for arm in spec.arms]
    return with_sweep(spec, grid, wish)


def labels_of(runs: Sequence[RunFiles], grid: Grid) -> dict[str, str]:
    """How each arm is printed: by the name it was given, else by its settings of the keys that differ."""
    # an arm that is named after the keys of its sweep is said better by the grid
    given = {run.arm for run in runs if run.config.arm and "=" not in run.config.arm}
    labels = {arm: (arm if arm in given else grid.label(arm)) or arm for arm in grid.arms}
    several = [label for label in labels.values() if list(labels.values()).count(label) > 1]
    # one thing under two names, or arms that differ in how they are evaluated
    return {arm: f"{label} ({arm})" if label in several else label for arm, label in labels.items()}


def grid_of(runs: Sequence[RunFiles]) -> Grid:
    """The arms of some runs with the keys that differ among them, those that do not train first."""
    arms: dict[str, Settings] = {}
    untrained: set[str] = set()  # of which most keys say nothing
    # an arm is what its numbers are of: a seed that goes on to more steps has other settings by now
    for run in sorted(runs, key=lambda run: not run.finished):
        arms.setdefault(run.arm, trained_settings(run.config))
        if not run.trains:
            untrained.add(run.arm)
    trained = [settings for arm, settings in arms.items() if arm not in untrained]
    filled(trained)
    keys = telling(trained)
    kept = {
        arm: {} if arm in untrained else {key: settings[key] for key in keys if key in settings}
        for arm, settings in arms.items()
    }
    places = {key: ranks(settings.get(key) for settings in kept.values()) for key in keys}

    def order(arm: str) -> tuple:
        return arm not in untrained, [places[key][said(kept[arm].get(key))] for key in keys], arm

    every = {key: value for settings in arms.values() for key, value in settings.items()}
    return Grid(keys, {arm: kept[arm] for arm in sorted(kept, key=order)}, every)


def check_seeds(runs: Iterable[RunFiles], *, by_key: bool = True) -> None:
    """Refuse an arm whose seeds are not of one kind: their mean would be that of nothing.

    Args:
        by_key: whether runs can be chosen by the keys of their configs.

    Raises:
        UserError: it names the key in which they differ.
    """
    arms: dict[str, tuple[Settings, Settings]] = {}
    for run in runs:
        settings = trained_settings(run.config) | evaluated_settings(run.config)
        judged = judged_settings(run, run.config.benchmark.tasks)
        before, judged_before = arms.setdefault(run.arm, (settings, judged))
        # what a file of samples does not say is not known to be other
        both = [{key: one[key] for key in judged.keys() & judged_before} for one in (judged_before, judged)]
        for key in [*differing([before, settings]), *sorted(differing(both))]:
            then, now = (
                said((one | other).get(key)) for one, other in ((before, both[0]), (settings, both[1]))
            )
            if key in judged:
                remedy = f"`rlvr evaluate run={run.directory}` measures one again"
            elif by_key:
                remedy = f"choose some, as in {key}={now}"
            else:
                remedy = f"give those of one kind another arm=, or move {run.directory} elsewhere"
            raise UserError(
                f"the seeds of arm {run.arm!r} differ in {key} ({then} and {now}), so they are no one arm: "
                f"{remedy}"
            )


def baselines_of(grid: Grid, given: str, arms: Sequence[Arm]) -> dict[str, str]:
    """The baseline of each arm: one for all, or the arm that has `key=value` and is else the same.

    Raises:
        UserError: where no arm is the baseline of another.
    """
    for arm in arms:
        if given in (arm.name, arm.label):
            return {other.name: arm.name for other in arms if other.name != arm.name}
    changed = {}
    for text in given.split(","):
        name, equals, value = text.partition("=")
        if not equals:
            raise unknown("baseline", given, [arm.label for arm in arms])
        key = grid.key(name)
        changed[key] = grid.value(key, value)
    found = {}
    for arm, settings in grid.arms.items():
        groups = tuple(key.removesuffix("name") for key in changed if key.endswith(".name"))
        wanted = {k: v for k, v in settings.items() if not (groups and k.startswith(groups))} | changed
        same = [o for o, other in grid.arms.items() if o != arm and not differing([wanted, other])]
        if same:
            found[arm] = same[0]
    if not found:
        raise UserError(
            f"baseline={given}: no arm has that and is else like another one; the arms are "
            f"{'; '.join(arm.label for arm in arms)}"
        )
    return found


def plain_baseline(runs: Sequence[RunFiles]) -> str:
    """What `baselines_of` is given for the arms that are plainly the baselines of others: those without a
    scaling or credit where others have one, or the one that is not trained; "" where there are none."""
    grid = grid_of(runs)
    for given in PLAIN:
        with suppress(UserError):
            baselines_of(grid, given, [])
            return given
    untrained = {run.arm for run in runs if not run.trains}
    return untrained.pop() if len(untrained) == 1 < len(grid.arms) else ""


def with_sweep(spec: TableSpec, grid: Grid, wish: Wish) -> TableSpec:
    """The table with a figure over the numbers of one key; without a wish, where a single one has three."""
    numbers = {key: {s[key] for s in grid.arms.values() if is_number(s.get(key))} for key in grid.keys}
    if wish.series and not wish.x:
        numbers.pop(grid.key(wish.series), None)
    x = grid.key(wish.x) if wish.x else None
    if x and len(numbers[x]) < 2:
        raise UserError(f"x={wish.x}: accepted is a key with two numbers or more among the arms")
    candidates = [key for key, values in numbers.items() if len(values) >= (2 if wish.series else 3)]
    if not x and len(candidates) != 1:
        if wish.series:
            known = ", ".join(map(grid.short, candidates)) or "there is none"
            raise UserError(f"series={wish.series} needs x=, a key with numbers that differ: {known}")
        return spec
    x = x or candidates[0]
    line = grid.key(wish.series) if wish.series else None
    placed = []
    for arm in spec.arms:
        settings = grid.arms[arm.name]
        if is_number(settings.get(x)):
            first = grid.setting(arm.name, line) if line else ""
            rest = grid.label(arm.name, without=[x] + ([line] if line else []))
            series = ", ".join(text for text in (first, rest) if text) or spec.name
            arm = replace(arm, x=settings[x], series=series)
        placed.append(arm)
    ticks = sorted(numbers[x])
    return replace(spec, arms=placed, sweep=Sweep(label=x.removesuffix(".name"), base=base_of(ticks)))


def base_of(ticks: Sequence[float]) -> int | None:
    """For a logarithmic axis: 2 or 10 where each of three numbers or more is that much the one before, 10 too
    where the last is twenty times the first; else None."""
    if len(ticks) < 3 or ticks[0] <= 0:
        return None
    steps = {round(high / low, 6) for low, high in pairwise(ticks)}
    wide = 10 if ticks[-1] >= 20 * ticks[0] else None
    return next((base for base in (10, 2) if steps <= {base, base**2}), wide)


def file_of(spec: TableSpec, experiment: str) -> str:
    """The table as a file of `experiments/`, to edit: it takes the experiment's runs and starts none."""
    given = {name: value for name, value in asdict(spec).items() if name in FILE_KEYS and value}
    given["arms"] = [{k: v for k, v in arm.items() if v not in (None, [])} for arm in given["arms"]]
    text = yaml.safe_dump(
        {"title": spec.title, "experiment": experiment, **given},
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
    return f"# the runs of {experiment}; how tables are written is in docs/how-to/your-own-table.md\n{text}"


def chosen(runs: Sequence[RunFiles], wanted: Mapping[str, Sequence[Any]]) -> list[RunFiles]:
    """The runs whose config has one of the values wanted of each key (`algorithm`, `group_size.n`, `seed`).

    Raises:
        UserError: for a key that no run has, or where no run has the values.
    """
    left = list(runs)
    for key, values in wanted.items():
        names = {said(value) for value in values}
        configs = {run.directory: settings_of(run.config) for run in left}
        left = [run for run in left if names & names_of(value_of(configs[run.directory], key))]
        if not left:
            keys = {name for settings in configs.values() for name in settings}
            if not keys & {key, f"{key}.name"}:
                raise UserError(f"no run has a key {key!r}{nearest(key, keys)}")
            there = {said(value_of(settings, key)) for settings in configs.values()}
            raise UserError(
                f"no run has {key}={','.join(map(said, values))}: they have {', '.join(sorted(there))}"
            )
    return left
