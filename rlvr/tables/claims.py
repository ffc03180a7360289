"""What a paper claims against what is measured here: `results/<paper>.md`, made of committed files alone.

`experiments/<paper>/claims.yaml` declares each claim as differences that it says are above zero:

paper: "F-GRPO: ... (arXiv:2602.06717)"
claims:
  - claim: what the paper says
    source: Table 2
    table: fgrpo/table2                       # whose ...-differences.csv is read, or simulation
    differences:                              # all of them are to be above zero
      - {metric: pass@256, group: in_domain, arm: grpo-n2, minus: grpo-n8}
  - claim: what cannot be tried at a scale
    source: Table 1
    untestable: {laptop: why}

A difference with a `unit` is what an arm saves against its baseline in a table with `effort`, less the
factor claimed: {unit: flops, target: 1.0, arm: sgpo, minus: grpo, factor: 2.5}. The table `toy_tree` has
λ-GRPO minus GRPO at {learning_rate: 1e-4, n: 1, r_neg: -0.5}. The table `simulation` has metrics of the
simulation grid and no groups; an arm of it is {group_size: 2, gamma: 0}, after its last step or `step: 0`.
Keys that stand beside `differences` hold for each of them.

A claim was declared from the paper's own numbers, never from those measured here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import t as student_t

from rlvr.errors import UserError, unknown
from rlvr.tables.spec import (
    DELTA_NLL,
    EFFORT_UNITS,
    RARE,
    arm_label,
    differences_file,
    label,
    read_spec,
    savings_file,
)
from rlvr.theory import SimulationGrid

SHOWN, NOT_SHOWN, OPPOSITE = "shown", "not shown", "opposite"
UNTESTABLE, NOT_RUN = "not testable at this scale", "not run"
SIMULATION, TOY_TREE = "simulation", "toy_tree"

SHARED_KEYS = ("table", "metric", "group", "unit", "target", "factor", "learning_rate")


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference that a claim says is above zero.

    Attributes:
        text: what it is the difference of.
        value, low, high: with its 95 % interval, in `unit`; NaN if not run, -infinity for an arm that never
            was as good as what it is compared with, infinite bounds where there is no interval.
        seeds: of the two arms, as "1 2 3".
        repeated: whether each of them that is trained has more than one.
    """

    text: str
    unit: str
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    seeds: tuple[str, str] = ("", "")
    repeated: bool = True

    @property
    def has_run(self) -> bool:
        return not np.isnan(self.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim with its differences, and why it cannot be tried if it cannot."""

    claim: str
    source: str
    tables: tuple[str, ...]
    differences: tuple[Difference, ...]
    untestable: str = ""

    @property
    def verdict(self) -> str:
        """Shown only if every interval lies above zero; opposite if one lies below.

        A single training seed shows nothing either way: its interval knows only of problems.
        """
        if self.untestable:
            return UNTESTABLE
        if not all(difference.has_run for difference in self.differences):
            return NOT_RUN
        if any(difference.high < 0 and difference.repeated for difference in self.differences):
            return OPPOSITE
        if all(difference.low > 0 and difference.repeated for difference in self.differences):
            return SHOWN
        return NOT_SHOWN


def findings(declared: Path, scale: str, results: Path) -> list[Finding]:
    """The claims of a file, each with what was measured for it at a scale.

    Raises:
        UserError: for an arm or group that a table does not have, or a claim without differences.
    """
    found = []
    for claim in yaml.safe_load(declared.read_text(encoding="utf-8"))["claims"]:
        shared = {key: claim[key] for key in SHARED_KEYS if key in claim}
        stated = [shared | one for one in claim.get("differences", [])]
        reason = claim.get("untestable", {}).get(scale, "")
        if not stated and not reason:
            raise UserError(f"{declared}, claim {claim['claim']!r}: accepted is at least one difference")
        numbers = []
        for one in [] if reason else stated:
            if one["table"] == SIMULATION:
                numbers.append(_simulated(one, results / "theory" / "categorical.npz"))
                continue
            if one["table"] == TOY_TREE:
                numbers.append(_on_toy_tree(one, results / "theory" / "toy_tree.csv"))
                continue
            spec = read_spec(declared.parents[1] / f"{one['table']}.yaml", scale)
            if "unit" in one:
                numbers.append(_saved(one, spec, results / "tables" / savings_file(spec["name"], scale)))
                continue
            numbers.append(_tabled(one, spec, results / "tables" / differences_file(spec["name"], scale)))
            if one["metric"] not in (*spec["metrics"], DELTA_NLL):
                reason = f"Table {spec['name']} has no {one['metric']} at scale {scale}."
        tables = tuple(dict.fromkeys(one["table"] for one in stated))
        found.append(Finding(claim["claim"], claim["source"], tables, tuple(numbers), reason))
    return found


def _tabled(stated: dict[str, Any], spec: dict[str, Any], file: Path) -> Difference:
    """A difference of two arms of a table, from the file of its differences."""
    arms = {arm["name"]: arm for arm in spec["arms"]}
    pair = stated["arm"], stated["minus"]
    groups = [*spec["columns"], RARE]
    for kind, names, accepted in (("arm", pair, arms), ("group", [stated["group"]], groups)):
        for name in names:
            if name not in accepted:
                raise unknown(f"{kind} of table {spec['name']}", name, accepted)
    text = f"{stated['metric']}, {label(spec, stated['group'])}: " + " − ".join(
        arm_label(arms[name]) for name in pair
    )
    unit, factor = ("nats a token", 1) if stated["metric"] == DELTA_NLL else ("points", 100)
    measured = _row(file, stated["metric"], stated["group"], *pair)
    if measured is None:
        return Difference(text, unit)
    repeated = all(
        " " in seeds or "training.steps=0" in arms[name].get("overrides", [])
        for name, seeds in zip(pair, measured[3:], strict=True)
    )
    value, low, high = (factor * number for number in measured[:3])
    return Difference(text, unit, value, low, high, measured[3:], repeated)


def _row(file: Path, metric: str, group: str, arm: str, minus: str) -> tuple | None:
    """Difference, low, high, and the seeds of either arm; the file has each two arms in one order only."""
    if not file.exists():
        return None
    rows = pd.read_csv(file, dtype={"seeds": str, "seeds_against": str})
    for row in rows[(rows["metric"] == metric) & (rows["group"] == group)].itertuples():
        if (row.arm, row.against) == (arm, minus):
            return row.difference, row.low, row.high, row.seeds, row.seeds_against
        if (row.arm, row.against) == (minus, arm):
            return -row.difference, -row.high, -row.low, row.seeds_against, row.seeds
    return None


def _saved(stated: dict[str, Any], spec: dict[str, Any], file: Path) -> Difference:
    """What an arm saves less the factor claimed; without an interval where a seed was not as good."""
    labels = {arm["name"]: arm_label(arm) for arm in spec["arms"]}
    for name in (stated["arm"], stated["minus"]):
        if name not in labels:
            raise unknown(f"arm of table {spec['name']}", name, labels)
    target = stated["target"] if isinstance(stated["target"], str) else f"{stated['target']:.0%} of the gain"
    arms = f"{labels[stated['minus']]} / {labels[stated['arm']]}"
    text = f"{EFFORT_UNITS[stated['unit']]} to {target}: {arms} − {stated['factor']}"
    if not file.exists():
        return Difference(text, "times")
    rows = pd.read_csv(file, dtype={"target": str, "seeds": str})
    place = {"arm": stated["arm"], "baseline": stated["minus"], "unit": stated["unit"]}
    number = pd.to_numeric(rows["target"], errors="coerce")
    there = (rows["target"] if isinstance(stated["target"], str) else number) == stated["target"]
    for row in rows[there & (rows[list(place)] == list(place.values())).all(axis=1)].itertuples():
        seeds = (row.seeds, row.seeds)
        repeated = " " in row.seeds
        if np.isnan(row.saving):
            text += f" (reached in {row.reached} of {len(row.seeds.split())} seeds)"
            return Difference(text, "times", -np.inf, -np.inf, np.inf, seeds, repeated)
        bounds = (row.low, row.high) if repeated else (-np.inf, np.inf)
        values = (number - stated["factor"] for number in (row.saving, *bounds))
        return Difference(text, "times", *values, seeds, repeated)
    return Difference(text, "times")


def _on_toy_tree(stated: dict[str, Any], file: Path) -> Difference:
    """λ-GRPO minus GRPO in the target's frequency: Welch's interval over seeds."""
    setting = {key: stated[key] for key in ("learning_rate", "n", "r_neg")}
    text = "target's frequency, %: λ-GRPO − GRPO at " + ", ".join(f"{k} {v:g}" for k, v in setting.items())
    if not file.exists():
        return Difference(text, "points")
    runs = pd.read_csv(file)
    runs = runs[(runs[list(setting)] == list(setting.values())).all(axis=1)]
    one, other = (runs[runs["method"] == method] for method in ("lambda", "grpo"))
    if runs.empty:
        return Difference(text, "points")
    samples = (100 * of_method["target_frequency"].to_numpy() for of_method in (one, other))
    seeds = tuple(" ".join(map(str, of_method["seed"])) for of_method in (one, other))
    return Difference(text, "points", *welch_interval(*samples), seeds)


def _simulated(stated: dict[str, Any], file: Path) -> Difference:
    """A difference of two settings of the simulation: Welch's interval over its seeds."""
    name = stated["metric"].replace("_", " ")
    text = f"{name}, %: {_setting(stated['arm'])} − {_setting(stated['minus'])}"
    if not file.exists():
        return Difference(text, "points")
    grid = SimulationGrid.load(file)
    samples = []
    for arm in (stated["arm"], stated["minus"]):
        point = int(np.searchsorted(grid.step, arm.get("step", grid.step[-1])))
        curves = grid.curves(stated["metric"], arm["group_size"], arm["gamma"])
        samples.append(100 * curves[:, point].astype(np.float64))
    value, low, high = welch_interval(*samples)
    seeds = " ".join(str(seed) for seed in range(len(samples[0])))
    return Difference(text, "points", value, low, high, (seeds, seeds))


def welch_interval(one: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """The difference of two means with its 95 % interval, their variances not taken to be equal.

    A constant sample counts as known exactly.
    """
    of_means = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)], dtype=np.float64)
    difference, variance = float(one.mean() - other.mean()), of_means.sum()
    if variance == 0:
        return difference, difference, difference
    freedom = variance**2 / (of_means**2 / [len(one) - 1, len(other) - 1]).sum()
    half_width = float(student_t.ppf(0.975, freedom) * np.sqrt(variance))
    return difference, difference - half_width, difference + half_width


def _setting(arm: dict[str, Any]) -> str:
    step = f" at step {arm['step']}" if "step" in arm else ""
    return f"N={arm['group_size']:,} γ={arm['gamma']:g}{step}"
