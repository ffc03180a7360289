"""What a paper claims against what is measured here: `results/<paper>.md`, made of committed files alone.

`rlvr.tables.claims_file` says what a claim is; here each gets its numbers and a verdict.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.errors import UserError, refuse_unknown
from rlvr.evaluation.intervals import welch_interval
from rlvr.evaluation.significance import holm_intervals
from rlvr.tables.claims_file import (
    SIMULATION,
    TOY_TREE,
    BestRate,
    ClaimSpec,
    DifferenceSpec,
    read_claims,
)
from rlvr.tables.declared import Declaration, declarations
from rlvr.tables.rates import has_all_rates, members
from rlvr.tables.read_spec import read_spec
from rlvr.tables.spec import DELTA_NLL, EFFORT_UNITS, RARE, TableSpec, metric_k, numbers_file
from rlvr.theory.simulation_grid import METRICS, SimulationGrid

SHOWN, NOT_SHOWN, LESS, OPPOSITE = "shown", "not shown", "less than claimed", "opposite"
UNTESTABLE, NOT_RUN = "not testable at this scale", "not run"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that a claim says is above zero.

    Attributes:
        text: what it is the difference of.
        value, low, high: with its 95 % interval, in `unit`; NaN if not run, -infinity for an arm that never
            was as good as what it is compared with, infinite bounds where there is no interval.
        freedom: degrees of freedom of its variance; NaN where it is not in the file.
        seeds: of the two arms, as "1 2 3".
        repeated: whether each of them that is trained has more than one.
        no_effect: the value at which the two would be equal: 0, or 1 - factor where a factor is claimed.
        table: whose files it is from.
    """

    text: str
    unit: str
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    freedom: float = np.nan
    seeds: tuple[str, str] = ("", "")
    repeated: bool = True
    no_effect: float = 0.0
    table: str = ""

    @property
    def has_run(self) -> bool:
        return not np.isnan(self.value)

    @property
    def identity(self) -> tuple:
        """Equal for one difference of two claims, or of two tables with the same runs."""
        if not self.has_run:
            return self.table, self.text
        return self.text, self.value, self.low, self.high, self.seeds


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim with its differences, and why it cannot be tried if it cannot.

    Attributes:
        corrected: the verdict with intervals that hold together, where `differences` have plain ones.
    """

    claim: str
    source: str
    tables: tuple[str, ...]
    differences: tuple[Difference, ...]
    untestable: str = ""
    declared: Declaration | None = None
    corrected: str = ""

    @property
    def verdict(self) -> str:
        """Shown only if every interval lies above zero; opposite if one lies on the other side of no effect.

        Less than claimed if one lies below zero, which is a factor that is not reached. A single training
        seed shows nothing either way: its interval knows only of problems.
        """
        if self.untestable:
            return UNTESTABLE
        if not all(difference.has_run for difference in self.differences):
            return NOT_RUN
        repeated = [difference for difference in self.differences if difference.repeated]
        if any(difference.high < difference.no_effect for difference in repeated):
            return OPPOSITE
        if any(difference.high < 0 for difference in repeated):
            return LESS
        if len(repeated) == len(self.differences) and all(difference.low > 0 for difference in repeated):
            return SHOWN
        return NOT_SHOWN


def findings(declared: Path, scale: str, results: Path) -> list[Finding]:
    """The claims of a file, each with what was measured for it at a scale.

    Raises:
        UserError: for an arm or group that a table does not have, or a claim without differences.
    """
    file = read_claims(declared)
    for claim in file.claims:
        if not claim.differences and scale not in claim.untestable:
            raise UserError(f"claim {claim.claim!r} of {declared}: accepted is at least one difference")
    known = declarations(declared, scale, results)
    found = [_finding(claim, declared.parents[1], scale, results) for claim in file.claims]
    if file.correction:
        found = holm_corrected(found)
    else:
        together = holm_corrected(found, student=False)
        pairs = zip(found, together, strict=True)
        found = [replace(plain, corrected=corrected.verdict) for plain, corrected in pairs]
    return [replace(finding, declared=declared_of(finding, known)) for finding in found]


def declared_of(finding: Finding, known: dict[str, Declaration]) -> Declaration | None:
    """When a claim was declared; one that is not testable here has no data, whatever its tables hold."""
    told = known.get(finding.claim)
    return replace(told, data_commit="", measured="") if told and finding.untestable else told


def holm_corrected(found: list[Finding], *, student: bool = True) -> list[Finding]:
    """The findings with intervals that hold together; what has not run counts among them.

    A difference that several claims state counts once.

    Args:
        student: take Student's t with each difference's degrees of freedom, and not the normal distribution.
    """
    family = {item.identity: item for finding in found for item in finding.differences}
    measured = [item for item in family.values() if item.has_run and item.repeated and np.isfinite(item.low)]
    freedoms = [_freedom(item) if student else np.inf for item in measured]
    rows = [(item.value, item.low, item.high) for item in measured]
    bounds = holm_intervals(*np.reshape(rows, (-1, 3)).T, freedoms, len(family))
    wider = {item.identity: bound for item, bound in zip(measured, bounds, strict=True)}

    def widened(item: Difference) -> Difference:
        low, high = wider.get(item.identity, (item.low, item.high))
        return replace(item, low=low, high=high)

    return [replace(finding, differences=tuple(map(widened, finding.differences))) for finding in found]


def _freedom(difference: Difference) -> float:
    """Its degrees of freedom; where its file does not have them, those of the seeds."""
    if np.isfinite(difference.freedom):
        return difference.freedom
    return min(len(seeds.split()) - 1 or np.inf for seeds in difference.seeds)


def _finding(claim: ClaimSpec, experiments: Path, scale: str, results: Path) -> Finding:
    """A claim with its numbers; its tables are named even where it cannot be tried."""
    tables = tuple(dict.fromkeys(stated.table for stated in claim.differences))
    if reason := claim.untestable.get(scale, ""):
        return Finding(claim.claim, claim.source, tables, (), reason)
    numbers, folder = [], results / "tables"
    for stated in claim.differences:
        if stated.kind == SIMULATION:
            found = _simulated(stated, results / "theory" / "categorical.npz")
        elif stated.kind == TOY_TREE:
            found = _toy_tree_difference(stated, results / "theory" / "toy_tree.csv")
        else:
            spec = read_spec(experiments / f"{stated.table}.yaml", scale)
            if stated.kind == "savings":
                found = _saved(stated, spec, folder / numbers_file(spec.name, scale, "savings"))
            else:
                found = _tabled(stated, spec, folder / numbers_file(spec.name, scale, "differences"))
                if stated.metric not in (*spec.metrics, DELTA_NLL):
                    reason = f"Table {spec.name} has no {stated.metric} at scale {scale}."
        numbers.append(replace(found, table=stated.table))
    return Finding(claim.claim, claim.source, tables, tuple(numbers), reason)


def _tabled(stated: DifferenceSpec, spec: TableSpec, file: Path) -> Difference:
    """A difference of two arms of a table, from the file of its differences."""
    arms = {arm.name: arm for arm in spec.arms}
    pair = tuple(_arm(given, spec, file) for given in (stated.arm, stated.minus))
    groups = [*spec.columns, RARE]
    refuse_unknown(f"arm of table {spec.name}", (name for name in pair if name is not None), arms)
    refuse_unknown(f"group of table {spec.name}", [stated.group], groups)
    labels = [
        f"{given}" if name is None else arms[name].label
        for given, name in zip((stated.arm, stated.minus), pair, strict=True)
    ]
    text = f"{stated.metric}, {spec.label(stated.group)}: " + " − ".join(labels)
    unit, factor = ("nats a token", 1) if stated.metric == DELTA_NLL else ("points", 100)
    measured = None if None in pair else _row(file, stated.metric, stated.group, *pair)
    if measured is None:
        return Difference(text, unit)
    *numbers, freedom, seeds = measured
    repeated = all(
        " " in of_arm or "training.steps=0" in arms[name].overrides
        for name, of_arm in zip(pair, seeds, strict=True)
    )
    return Difference(text, unit, *(factor * number for number in numbers), freedom, seeds, repeated)


def _arm(given: str | BestRate, spec: TableSpec, differences: Path) -> str | None:
    """The name of an arm; None for a member's best rate that is not known before every rate has run."""
    if isinstance(given, str):
        return given
    file = differences.with_name(differences.name.replace("-differences.csv", "-rates.csv"))
    if not file.exists():
        return None
    rates, arms = pd.read_csv(file), members(spec).get(given.member)
    # a table may have got more rates since its files were written
    if not arms or not has_all_rates(arms, set(rates["arm"])):
        return None
    best = rates[(rates["member"] == given.member) & (rates["k"] == metric_k(given.by)) & rates["best"]]
    return best["arm"].iloc[0] if len(best) else None


def _row(file: Path, metric: str, group: str, arm: str, minus: str) -> tuple | None:
    """Difference, low, high, freedom, seeds of either arm; the file has each two arms in one order only."""
    if not file.exists():
        return None
    rows = pd.read_csv(file, dtype={"seeds": str, "seeds_against": str})
    for row in rows[(rows["metric"] == metric) & (rows["group"] == group)].itertuples():
        freedom = getattr(row, "freedom", np.nan)
        if (row.arm, row.against) == (arm, minus):
            return row.difference, row.low, row.high, freedom, (row.seeds, row.seeds_against)
        if (row.arm, row.against) == (minus, arm):
            return -row.difference, -row.high, -row.low, freedom, (row.seeds_against, row.seeds)
    return None


def _saved(stated: DifferenceSpec, spec: TableSpec, file: Path) -> Difference:
    """What an arm saves less the factor claimed; without an interval where a seed was not as good."""
    labels = spec.arm_labels
    refuse_unknown(f"arm of table {spec.name}", (stated.arm, stated.minus), labels)
    refuse_unknown("unit of effort", [stated.unit], EFFORT_UNITS)
    target = stated.target if isinstance(stated.target, str) else f"{stated.target:.0%} of the gain"
    arms = f"{labels[stated.minus]} / {labels[stated.arm]}"
    text = f"{EFFORT_UNITS[stated.unit]} to {target}: {arms} − {stated.factor}"
    if not file.exists():
        return Difference(text, "times")
    rows = pd.read_csv(file, dtype={"target": str, "seeds": str})
    place = {"arm": stated.arm, "baseline": stated.minus, "unit": stated.unit}
    number = pd.to_numeric(rows["target"], errors="coerce")
    there = (rows["target"] if isinstance(stated.target, str) else number) == stated.target
    for row in rows[there & (rows[list(place)] == list(place.values())).all(axis=1)].itertuples():
        seeds = (row.seeds, row.seeds)
        repeated = " " in row.seeds
        bounds = (row.low, row.high) if repeated else (-np.inf, np.inf)
        values = tuple(number - stated.factor for number in (row.saving, *bounds))
        if np.isnan(row.saving):
            text += f" (reached in {row.reached} of {len(row.seeds.split())} seeds)"
            values = (-np.inf, -np.inf, np.inf)
        return Difference(text, "times", *values, np.nan, seeds, repeated, 1 - stated.factor)
    return Difference(text, "times")


def _toy_tree_difference(stated: DifferenceSpec, file: Path) -> Difference:
    """λ-GRPO minus GRPO in the target's frequency: Welch's interval over seeds."""
    setting = {key: getattr(stated, key) for key in ("learning_rate", "n", "r_neg")}
    text = "target's frequency, %: λ-GRPO − GRPO at " + ", ".join(f"{k} {v:g}" for k, v in setting.items())
    if not file.exists():
        return Difference(text, "points")
    runs = pd.read_csv(file)
    runs = runs[(runs[list(setting)] == list(setting.values())).all(axis=1)]
    one, other = (runs[runs["method"] == method] for method in ("lambda", "grpo"))
    if runs.empty:
        return Difference(text, "points")
    samples = (100 * method["target_frequency"].to_numpy() for method in (one, other))
    seeds = tuple(" ".join(map(str, method["seed"])) for method in (one, other))
    return Difference(text, "points", *welch_interval(*samples), seeds=seeds)


def _simulated(stated: DifferenceSpec, file: Path) -> Difference:
    """A difference of two settings of the simulation: Welch's interval over its seeds."""
    text = f"{stated.metric.replace('_', ' ')}, %: {stated.arm} − {stated.minus}"
    if not file.exists():
        return Difference(text, "points")
    grid = SimulationGrid.load(file)
    refuse_unknown("metric of the simulation", [stated.metric], METRICS)
    steps, samples = grid.step.tolist(), []
    for arm in (stated.arm, stated.minus):
        step = steps[-1] if arm.step is None else arm.step
        if step not in steps:
            near = min(steps, key=lambda recorded: abs(recorded - step))
            raise UserError(f"{arm} of the simulation: accepted are recorded steps, of which {near} is near")
        if not any(cell[:2] == (arm.group_size, arm.gamma) for cell in grid.runs):
            return Difference(text, "points")
        curves = grid.curves(stated.metric, arm.group_size, arm.gamma)
        samples.append(100 * curves[:, steps.index(step)].astype(np.float64))
    seeds = " ".join(str(seed) for seed in range(len(samples[0])))
    return Difference(text, "points", *welch_interval(*samples), seeds=(seeds, seeds))
