"""Effort as text and figure: see `rlvr.tables.effort`."""

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rlvr.tables import figures
from rlvr.tables.effort import FLOPS, OWN_BEST
from rlvr.tables.panels import Panel, duration
from rlvr.tables.spec import EFFORT_UNITS, TableSpec

CAPTIONS = {
    "validation": "In-domain pass@1 in validation by step and by FLOPs, profiling and selection included: "
    "mean over seeds, bands from the lowest seed to the highest.",
}
NAMES = {"generated": "sampling", "trained": "updates", "profiling": "profile", "selection": "selection"}


def cost_panel(spec: TableSpec, costs: pd.DataFrame) -> Panel:
    """FLOPs by part and wall time of each arm, means over seeds."""
    header = ["", "seeds", "FLOPs", *(f"of {NAMES[part]}" for part in FLOPS), "wall time"]
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
    with matplotlib.rc_context(figures.STYLE):
        width = max(3.4, 2.4 * len(pairs))
        figure = Figure(figsize=(width, 4.1), layout="constrained")
        grid = figure.subplots(2, len(pairs), sharex="row", sharey=True, squeeze=False)
        for column, (baseline, name) in enumerate(pairs):
            colours = figures.BASELINE, figures.COLOURS[column % len(figures.COLOURS)]
            for arm, colour, line in zip((baseline, name), colours, ("--", "-"), strict=True):
                of_arm = checkpoints[checkpoints["arm"] == arm]
                points = figures.of_all_seeds(of_arm, "steps", of_arm["seed"].nunique()).groupby("steps")
                reward = 100 * points["reward"].agg(["mean", "min", "max"])
                for axes, cost in zip(grid[:, column], (reward.index, points["flops"].mean()), strict=True):
                    axes.plot(cost, reward["mean"], line, color=colour, label=labels[arm])
                    figures.band(axes, cost, reward["min"], reward["max"], colour)
            grid[0, column].legend(loc="lower right", handlelength=2.4)
            grid[0, column].set_xlabel("step")
            grid[1, column].set_xlabel("FLOPs")
        for axes in grid[:, 0]:
            axes.set_ylabel("In-domain pass@1 (%)")
    return figure
