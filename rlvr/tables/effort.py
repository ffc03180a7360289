"""What training cost, and what it cost to be as good as the baseline.

Every run measures its in-domain pass@1 at each checkpoint. Beside it stand what was spent until then: steps,
FLOPs (`rlvr.training.flops`) and seconds, each with what a run needed before its first step. Two arms are
compared where they are equally good: the baseline's best is at some height above the start, and the cost to
climb a share of that height is interpolated on straight lines between checkpoints.

A checkpoint's pass@1 is measured on few samples, so that a baseline's best is a little too high and a high
share is noisier than a low one.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from rlvr.files.run_files import Line, RunFiles
from rlvr.tables.figures import BASELINE, COLOURS, STYLE, draw_seeds
from rlvr.tables.panels import duration
from rlvr.tables.part import Panel, Part, TableFigure
from rlvr.tables.spec import EFFORT_UNITS, TableSpec

OWN_BEST = "own best"  # the target that each arm sets itself
FLOPS = {  # what a run's FLOPs are made of, and what it is called
    "generated": "sampling",
    "trained": "updates",
    "profiling": "profile",
    "selection": "selection",
}
SECONDS = ("training", "profiling")
CAPTION = (
    "In-domain pass@1 in validation by step and by FLOPs, profiling and selection included: mean over seeds, "
    "bands from the lowest seed to the highest."
)


def part(spec: TableSpec, runs: Sequence[RunFiles]) -> Part:
    """What training cost, and what it cost to be as good as the baseline, where the table asks for it."""
    if not spec.effort:
        return Part()
    checkpoints = curves(runs)
    saved = savings(spec, checkpoints)
    figure = TableFigure(CAPTION, lambda: validation_curves(spec, checkpoints))
    return Part(
        panels=[cost_panel(spec, costs(runs)), *saving_panels(spec, saved)],
        notes=notes(spec),
        figures={"validation": figure} if len(saved) else {},
        numbers={"-training": checkpoints, "-savings": saved},
    )


def curves(runs: Sequence[RunFiles]) -> pd.DataFrame:
    """One row a checkpoint of each trained run: `arm`, `seed`, the `EFFORT_UNITS`, `reward`.

    Runs from before `flops_undropped` was logged have NaN there. What is spent before training (a
    profile, the run that a selection was made from) is in the FLOPs of every row. Seconds have the
    profile's, not those of a selection's run.
    """
    rows = []
    for run in runs:
        metrics = _by_step(run.metrics, "compute/flops")
        undropped = _by_step(run.metrics, "compute/flops_undropped")
        timing = _by_step(run.timing, "seconds/step")
        flops = sum(run.entry("flops", part) for part in ("profiling", "selection"))
        seconds = run.entry("seconds").get("profiling", 0.0)
        validation = [line for line in run.validation if "in_domain/pass@1" in line]
        for line in validation if metrics else []:
            done = range(1, line["step"] + 1)
            rows.append(
                {
                    "arm": run.arm,
                    "seed": run.seed,
                    "steps": line["step"],
                    "flops": flops + sum(metrics[step] for step in done),
                    "flops_undropped": flops + sum(undropped[step] for step in done),
                    "seconds": seconds + sum(timing[step] for step in done),
                    "reward": line["in_domain/pass@1"],
                }
            )
    return pd.DataFrame(rows, columns=["arm", "seed", *EFFORT_UNITS, "reward"])


def costs(runs: Sequence[RunFiles]) -> pd.DataFrame:
    """One row a trained run: `arm`, `seed`, its FLOPs by part, `flops`, and `seconds` with the profile's."""
    rows = []
    for run in runs:
        if not run.entry("trained_steps"):
            continue
        parts = {part: run.entry("flops", part) for part in FLOPS}
        seconds = sum(run.entry("seconds").get(part, 0.0) for part in SECONDS)
        rows.append(
            {"arm": run.arm, "seed": run.seed, **parts, "flops": sum(parts.values()), "seconds": seconds}
        )
    return pd.DataFrame(rows, columns=["arm", "seed", *FLOPS, "flops", "seconds"])


def cost_to_reach(target: float, cost: Sequence[float], rewards: Sequence[float]) -> float:
    """Cost after which a held-out reward was first reached, on straight lines between checkpoints.

    Args:
        target: the reward.
        cost: [checkpoints], spent so far at each, in any unit; profiling included where there was any.
        rewards: [checkpoints], measured there.

    Returns:
        Infinity if it was never reached.
    """
    reached = next((i for i, reward in enumerate(rewards) if reward >= target), None)
    if reached is None:
        return math.inf
    if reached == 0:
        return cost[0]
    share = (target - rewards[reached - 1]) / (rewards[reached] - rewards[reached - 1])
    return cost[reached - 1] + share * (cost[reached] - cost[reached - 1])


def savings(spec: TableSpec, checkpoints: pd.DataFrame) -> pd.DataFrame:
    """How many times less an arm spends than its baseline until both are equally good.

    Args:
        spec: with `effort`, whose shares are of what the baseline gains over the initial policy at its best.
        checkpoints: of `curves`.

    Returns:
        One row for each arm with a baseline, unit and target, a share or `OWN_BEST`, where each arm has its
        own: `arm`, `baseline`, `unit`, `target`, `seeds` that both have, as "1 2 3", `reached` in how many
        of them; `saving`, the geometric mean over seeds of baseline's cost / arm's cost, with its 95 %
        interval `low` to `high` (Student's t on logarithms). Above 1 the arm is cheaper. NaN: not
        reached in every seed, no gain of the baseline, or, for the interval, fewer than two seeds.
    """
    by_run = {key: rows.reset_index(drop=True) for key, rows in checkpoints.groupby(["arm", "seed"])}
    rows = []
    for baseline, name in spec.pairs:
        seeds = [s for a, s in by_run if a == name and (baseline, s) in by_run]
        arms = [by_run[arm, seed] for seed in seeds for arm in (baseline, name)]
        for unit in spec.effort.units if seeds else []:
            if any(rows_of[unit].isna().any() for rows_of in arms):
                continue  # runs from before it was logged
            for target in (*spec.effort.shares, OWN_BEST):
                pairs = [(by_run[baseline, seed], by_run[name, seed]) for seed in seeds]
                ratios = np.array([_saving(before, after, unit, target) for before, after in pairs])
                estimate = _geometric_mean(ratios) if (ratios > 0).all() else [math.nan] * 3
                both = " ".join(map(str, seeds))
                rows.append([name, baseline, unit, target, both, int((ratios > 0).sum()), *estimate])
    columns = ["arm", "baseline", "unit", "target", "seeds", "reached", "saving", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _saving(baseline: pd.DataFrame, arm: pd.DataFrame, unit: str, target: float | str) -> float:
    """Baseline's cost / arm's cost: 0 if the arm never got there, NaN if one of them had nowhere to go."""
    start, best = baseline["reward"].iloc[0], baseline["reward"].max()
    # at most the best: a share of 1 may be rounded to more
    wanted = best if target == OWN_BEST else min(best, start + target * (best - start))
    heights = wanted, arm["reward"].max() if target == OWN_BEST else wanted
    if min(heights) <= start:
        return math.nan
    spent, own = (
        cost_to_reach(height, run[unit].tolist(), run["reward"].tolist())
        for height, run in zip(heights, (baseline, arm), strict=True)
    )
    return spent / own if own else math.nan


def _geometric_mean(ratios: np.ndarray) -> list[float]:
    """With its 95 % interval, which a single ratio does not have."""
    logs = np.log(ratios)
    mean, half_width = logs.mean(), math.nan
    if len(logs) > 1:
        half_width = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs))
    return np.exp([mean, mean - half_width, mean + half_width]).tolist()


def _by_step(lines: list[Line], key: str) -> dict[int, float]:
    return {line["step"]: line.get(key, math.nan) for line in lines}


def cost_panel(spec: TableSpec, costs: pd.DataFrame) -> Panel:
    """FLOPs by part and wall time of each arm, means over seeds."""
    header = ["", "seeds", "FLOPs", *(f"of {name}" for name in FLOPS.values()), "wall time"]
    rows = []
    for arm in spec.arms:
        spent = costs[costs["arm"] == arm.name]
        if len(spent):
            mean = spent.drop(columns=["arm", "seed"]).mean()
            parts = [f"{mean[part]:.2e}" if mean[part] else "0" for part in FLOPS]
            cells = [str(len(spent)), f"{mean['flops']:.2e}", *parts, duration(mean["seconds"])]
            rows.append([arm.label, *cells])
    return Panel("Cost of training one policy", header, rows)


def saving_panels(spec: TableSpec, savings: pd.DataFrame) -> list[Panel]:
    """For each unit, the baseline's cost over the arm's to equal reward, beside the claim if there is one."""
    labels, claimed = spec.arm_labels, spec.effort.claimed
    panels = []
    for unit in spec.effort.units:
        unit_savings = savings[savings["unit"] == unit]
        targets = [*spec.effort.shares, OWN_BEST]
        heads = [target if target == OWN_BEST else f"{target:.0%}" for target in targets]
        rows = []
        for (name, baseline), cells in unit_savings.groupby(["arm", "baseline"], sort=False):
            published = [claimed[unit].get(name, "–")] if unit in claimed else []
            texts = [saving_text(cell) for cell in cells.itertuples(index=False)]
            rows.append([f"{labels[name]} vs {labels[baseline]}", *texts, *published])
        header = ["", *heads, *(["claimed"] if unit in claimed else [])]
        title = f"{EFFORT_UNITS[unit]} of the baseline / those of the arm, to equal in-domain pass@1"
        panels += [Panel(title, header, rows)] if rows else []
    return panels


def saving_text(cell: Any) -> str:
    """A saving with its interval, or why there is none."""
    if np.isnan(cell.saving):
        return f"reached in {cell.reached} of {len(cell.seeds.split())} seeds"
    interval = "" if np.isnan(cell.low) else f" ({cell.low:.2f} to {cell.high:.2f})"
    return f"{cell.saving:.2f}{interval}"


def notes(spec: TableSpec) -> list[str]:
    """How to read the panels."""
    claim = spec.effort.claim
    return [
        "FLOPs: 2ND for sampling, 6ND for updates; N parameters that every token is multiplied with, D the "
        "positions computed. The sampling of a profile is in them, and so are all those of the run that a "
        "selection was made from. Wall time has the profile's and that of validations, not the selection's; "
        "runs shared the machine.",
        "To equal reward: columns are shares of what the baseline gains in validation at its best; the last "
        "compares the cost of each arm's own best, whatever its height. Geometric mean over seeds of the "
        "paired ratio, with its 95 % interval (Student's t on logarithms); above 1 the arm is cheaper.",
        *([claim] if claim else []),
    ]


def validation_curves(spec: TableSpec, checkpoints: pd.DataFrame) -> Figure:
    """Held-out reward by step (above) and by FLOPs (below), a column for each arm and its baseline."""
    labels, pairs = spec.arm_labels, spec.pairs
    with matplotlib.rc_context(STYLE):
        width = max(3.4, 2.4 * len(pairs))
        figure = Figure(figsize=(width, 4.1), layout="constrained")
        grid = figure.subplots(2, len(pairs), sharex="row", sharey=True, squeeze=False)
        for column, (baseline, name) in enumerate(pairs):
            colours = BASELINE, COLOURS[column % len(COLOURS)]
            for arm, colour, line in zip((baseline, name), colours, ("--", "-"), strict=True):
                of_arm = checkpoints[checkpoints["arm"] == arm]
                reward = 100 * of_arm.pivot(index="steps", columns="seed", values="reward")
                drawn = {"color": colour, "linestyle": line, "label": labels[arm]}
                draw_seeds(grid[0, column], reward, **drawn)
                draw_seeds(grid[1, column], reward, of_arm.groupby("steps")["flops"].mean(), **drawn)
            grid[0, column].legend(loc="lower right", handlelength=2.4)
            grid[0, column].set_xlabel("step")
            grid[1, column].set_xlabel("FLOPs")
        for axes in grid[:, 0]:
            axes.set_ylabel("In-domain pass@1 (%)")
    return figure
