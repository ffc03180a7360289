"""What a table is: its arms, benchmarks and metrics, and the published numbers beside them.

`Layout` has the keys of a file in `experiments/`; `rlvr.tables.read_spec` reads one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from rlvr.errors import UserError, refuse_unknown, unknown
from rlvr.tables.assumptions import Assumptions

LAPTOP = "laptop"  # the scale of a table whose file names none
DOMAINS = ("in_domain", "out_of_domain")  # the groups of benchmarks, as a benchmark's config has them
FIGURES = ("pass-at-k", "difference", "group-size", "training")  # the first two where none are named
CHECKPOINTS = ("baseline", "best")
EFFORT_UNITS = {
    "steps": "steps",
    "flops": "FLOPs",
    "flops_undropped": "FLOPs of a trainer that leaves no rollout out",
    "seconds": "seconds",
}
# keys of a run that a table says of each of its runs itself
OF_A_TABLE = {
    "arm": "every arm of a table is run, under its own name",
    "seed": "accepted is seeds=1,2,3, or seeds: [1, 2, 3] in its file",
    "experiment": "a table's runs are kept under its own name",
}
DELTA_NLL, RARE = "delta_nll_rare", "rare"  # a metric besides pass@k, and what it is measured on


@dataclass(frozen=True)
class Select:
    """What an arm trains on: the problems that an earlier arm's run of the same seed chooses.

    The keys but `from` are those of `rlvr.runs.select.select`.
    """

    from_: str
    threshold: float | None = None
    share: float | None = None
    epochs: int | None = None
    size: int | None = None


@dataclass
class Arm:
    """A row of a table.

    Attributes:
        label: how it is printed; its name if there is none.
        baseline: the arm that it is tested against.
        overrides: of the config, what makes this arm.
        ask: a key that its paper gives no value for; without one on the command line it is left out.
        series, x: the line and the place of the arm in a figure of a `Sweep`.
        group_size, gamma: the same for the figures `group-size` and `training`.
        member, strength: of a family whose members the figure `frontier` compares, and the value of the
            member's own knob; arms of one member are a line.
        rate: what is other about the learning rate of this arm, such as "slower"; none for the table's own.
        times: the learning rate, in multiples of what the arm would have without it.
        of: the arm of the table that this one `shares` which this one is, with its overrides and its runs.
    """

    name: str
    label: str = ""
    baseline: str | None = None
    overrides: list[str] = field(default_factory=list)
    ask: str | None = None
    select: Select | None = None
    series: str | None = None
    x: int | float | None = None
    group_size: int | None = None
    gamma: int | float | None = None
    member: str | None = None
    strength: int | float | None = None
    rate: str | None = None
    times: int | float | None = None
    of: str | None = None

    def __post_init__(self) -> None:
        self.label = self.label or self.name


@dataclass(frozen=True)
class PublishedSource:
    """Where a paper's numbers are: a table in a file of `results/published`.

    Attributes:
        model: the rows of one model; all where it is None.
        note: how its setting differs from ours.
    """

    file: str
    table: str
    model: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Effort:
    """Panels of what training cost, and of what equal reward cost.

    Attributes:
        units: of `EFFORT_UNITS`, what an arm's cost is compared with its baseline's in.
        shares: of the baseline's gain in validation, above 0 and at most 1.
        claimed: by unit and arm, what a paper says of it.
        claim: a sentence on that.
    """

    units: list[str]
    shares: list[int | float]
    claimed: dict[str, dict[str, str]] = field(default_factory=dict)
    claim: str | None = None


@dataclass(frozen=True)
class Measures:
    """A panel of measures besides pass@k (`rlvr.evaluation.measures`), and a file of all problems' counts.

    Attributes:
        base: the arm before training, against which problems are lost and won.
        taus: of Cover@tau, above 0 and at most 1.
        distinct: benchmarks whose distinct right answers are counted: their answers have a form.
    """

    base: str
    taus: list[int | float]
    distinct: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Rates:
    """A check of some arms' learning rates: the same arms at multiples of theirs, compared in validation.

    They are more arms of the table, named as `grpo-x0.5`; an arm and its baseline meet at each multiple.
    """

    arms: list[str]
    times: list[int | float]


@dataclass(frozen=True)
class Sweep:
    """A figure over the `x` of arms, a line for each `series`; with a `base` its axis is logarithmic."""

    label: str
    base: int | float | None = None


@dataclass(frozen=True)
class Dynamics:
    """A figure of training by step.

    Attributes:
        smoothing: weight of a step in the moving averages, above 0 and at most 1.
        validation: the key of validation.jsonl that is drawn.
    """

    smoothing: float
    validation: str = "in_domain/pass@1"


@dataclass
class Layout:
    """The keys of a table's file.

    Attributes:
        runs: the table whose runs it shows, where they are not its own.
        shares: another table; arms that say what they are `of` it are run once for both.
        experiment: the experiment whose runs it shows, as `rlvr train -m` made them; it starts none. Arms are
            named as their folders are.
        metrics: a panel each, as "pass@1".
        columns: benchmarks by group; each group is followed by its average.
        labels: how a benchmark, a group or a column of the published numbers is printed.
        arms: the rows, in order.
        figures: which of `FIGURES` to draw; the last two need arms that say their group_size and gamma.
        entropy: whether to draw entropy against pass@k.
        frontier: whether to draw the last metric against the first, by member.
        seeds, overrides: of every run.
        checkpoint: "best", or nothing, evaluates every arm's best; "baseline" an arm's best among those that
            cost no more than its baseline's (F-GRPO, App. L.2).
        last_step: whether to measure and show the last checkpoint of every run too.
    """

    title: str = ""
    runs: str | None = None
    shares: str | None = None
    experiment: str | None = None
    metrics: list[str] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    arms: list[Arm] = field(default_factory=list)
    published: PublishedSource | None = None
    effort: Effort | None = None
    rates: Rates | None = None
    figures: list[str] = field(default_factory=lambda: list(FIGURES[:2]))
    sweep: Sweep | None = None
    dynamics: Dynamics | None = None
    entropy: bool = False
    measures: Measures | None = None
    frontier: bool = False
    seeds: list[int] = field(default_factory=lambda: [1])
    overrides: list[str] = field(default_factory=list)
    checkpoint: str | None = None
    last_step: bool = False
    plan: Assumptions | None = None


@dataclass
class TableFile(Layout):
    """All that a table's file may hold."""

    extends: str | None = None
    scale: str = LAPTOP
    scales: dict[str, Layout] = field(default_factory=dict)


@dataclass
class TableSpec(Layout):
    """A table at one scale; `name` is `<paper>/<table>`, `repeat` a command where that is no plain `make`."""

    name: str = ""
    repeat: str = ""

    @property
    def ks(self) -> list[int]:
        """The k of each metric."""
        return [metric_k(metric) for metric in self.metrics]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(baseline, arm) of each arm that is compared."""
        return [(arm.baseline, arm.name) for arm in self.arms if arm.baseline]

    @property
    def arm_labels(self) -> dict[str, str]:
        """How each arm is printed, in the order of the rows."""
        return {arm.name: arm.label for arm in self.arms}

    def label(self, name: str) -> str:
        """How a benchmark, a group of benchmarks or a published column is printed."""
        return self.labels.get(name, name)

    def folder(self, scale: str) -> str:
        """The folder of the runs that the table shows, below that of all runs."""
        return self.experiment or f"{self.runs or self.name}/{scale}"


def check_spec(spec: TableSpec) -> None:
    """Refuse a table that could not be laid out."""
    for key in ("name", "title", "metrics", "columns", "arms"):
        if not getattr(spec, key):
            given = [name for name, value in vars(spec).items() if value]
            raise UserError(f"a table needs a value for {key!r}; given are {', '.join(sorted(given))}")
    arms, benchmarks = [arm.name for arm in spec.arms], list(chain.from_iterable(spec.columns.values()))
    refuse_repeated("arm", arms, spec)
    refuse_repeated("benchmark", benchmarks, spec)
    for group, names in spec.columns.items():
        if not names:
            raise UserError(
                f"columns of table {spec.name} has no benchmark in {group}: accepted is one or more"
            )
    refuse_unknown(f"baseline in table {spec.name}", (baseline for baseline, _ in spec.pairs), arms)
    for baseline, arm in spec.pairs:
        if baseline == arm:
            raise UserError(f"arm {arm!r} of table {spec.name} is its own baseline: accepted is another arm")
    if spec.dynamics:
        _check_shares("dynamics.smoothing", [spec.dynamics.smoothing])
        if not spec.pairs:
            raise UserError(
                f"table {spec.name} has dynamics, a figure of arms beside their baselines, but no baseline: "
                "give an arm its baseline, or leave dynamics out"
            )
    refuse_unknown(f"figure of table {spec.name}", spec.figures, FIGURES)
    for metric in spec.metrics:
        metric_k(metric)
    refuse_unknown(f"checkpoint of table {spec.name}", filter(None, [spec.checkpoint]), CHECKPOINTS)
    _check_sweeps(spec)
    if spec.effort:
        check_effort(spec.effort, arms)
    if spec.measures:
        check_measures(spec.measures, arms, benchmarks)
        if max(spec.ks) < 2:
            raise UserError(
                f"table {spec.name} has measures, of which one is over k up to that of its largest "
                "metric: accepted is pass@2 or more"
            )
    if spec.frontier and not any(arm.member for arm in spec.arms):
        raise UserError(f"table {spec.name} has a frontier, but no arm has a member: accepted is one or more")


def refuse_keys_of_a_table(overrides: Iterable[str], where: str = "with a table") -> None:
    """Raise UserError for a key that each run of a table is given: it would be replaced without a word."""
    for override in overrides:
        if reason := OF_A_TABLE.get(override.lstrip("+").partition("=")[0]):
            raise UserError(f"{override} {where}: {reason}")


def refuse_repeated(kind: str, names: Iterable[str | int], spec: TableSpec) -> None:
    """Raise UserError for what a table has twice."""
    seen: set[str | int] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{kind} {name!r} is in table {spec.name} twice: accepted is once")
        seen.add(name)


def _check_sweeps(spec: TableSpec) -> None:
    """Refuse arms that say half of their place in a figure: they would be left out of it in silence.

    And a figure that no arm has a place in.
    """
    for arm in spec.arms:
        for one, other in (("x", "series"), ("group_size", "gamma")):
            if (getattr(arm, one) is None) != (getattr(arm, other) is None):
                raise UserError(
                    f"arm {arm.name!r} of table {spec.name} has one of {one} and {other}: accepted are both "
                    "or neither"
                )
    if spec.sweep and all(arm.x is None for arm in spec.arms):
        raise UserError(f"sweep of table {spec.name}: no arm says its x and series")
    if spec.sweep and spec.sweep.base is not None and spec.sweep.base <= 1:
        raise UserError(f"sweep.base of table {spec.name} is {spec.sweep.base}: accepted is above 1, or none")
    for figure in spec.figures:
        if figure in ("group-size", "training") and all(arm.group_size is None for arm in spec.arms):
            raise UserError(f"figure {figure} of table {spec.name}: no arm says its group_size and gamma")


def check_effort(effort: Effort, arms: list[str]) -> None:
    """Refuse units that are not measured, shares that are none, and claims about other arms."""
    refuse_unknown("unit of effort", (*effort.units, *effort.claimed), EFFORT_UNITS)
    _check_shares("effort.shares", effort.shares)
    refuse_unknown("arm in effort.claimed", chain.from_iterable(effort.claimed.values()), arms)


def check_measures(measures: Measures, arms: list[str], benchmarks: list[str]) -> None:
    """Refuse a base or a benchmark that there is not, and a tau that is no share."""
    refuse_unknown("arm as measures.base", [measures.base], arms)
    refuse_unknown("benchmark in measures.distinct", measures.distinct, benchmarks)
    _check_shares("measures.taus", measures.taus)


def _check_shares(key: str, shares: Iterable[float]) -> None:
    for share in shares:
        if not 0 < share <= 1:
            raise UserError(f"{key} holds {share}: accepted are shares above 0 and at most 1")


def metric_k(metric: str) -> int:
    """The k of "pass@k"."""
    if not (match := re.fullmatch(r"pass@([1-9]\d*)", metric)):
        raise unknown("metric", metric, ["pass@1", "pass@2", "pass@4", "pass@k for any k"])
    return int(match[1])


def table_stem(name: str, scale: str) -> str:
    """How the names of a table's files begin."""
    return f"{name.replace('/', '-')}-{scale}"


def numbers_file(name: str, scale: str, what: str) -> str:
    """A file beside a table: "differences" of its arms, or, with `effort`, "savings" against baselines."""
    return f"{table_stem(name, scale)}-{what}.csv"
