"""The figures of a table that crosses group sizes with focal exponents (F-GRPO, Figures 6 and 7).

A table asks for them with `figures: [group-size, training]`; its arms say their `group_size` and `gamma`.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rlvr.files import step_lines
from rlvr.tables.collect import AVERAGE
from rlvr.tables.figures import BASELINE, COLOURS, REFERENCE, STYLE, band, log_axis
from rlvr.tables.runs import Run
from rlvr.tables.spec import arm_label, metric_k

CAPTIONS = {
    "group-size": "−log pass@k of the last policies against the group size: lower is better. Bands are the "
    "95 % intervals of the cells, dotted is the policy before training.",
    "training": "Reward in training, and pass@k on held-out problems at every checkpoint, by group size: "
    "means over seeds, bands from the lowest seed to the highest.",
}
REWARD = "training reward"
POINTS = 40  # of a curve of rewards, each the mean of the steps since the last


def sweep(spec: dict[str, Any]) -> pd.DataFrame:
    """The arms that say their group size and exponent: `arm`, `group_size`, `gamma`."""
    rows = [(arm["name"], arm["group_size"], arm["gamma"]) for arm in spec["arms"] if "group_size" in arm]
    return pd.DataFrame(rows, columns=["arm", "group_size", "gamma"])


def group_size_curves(spec: dict[str, Any], frame: pd.DataFrame) -> Figure:
    """−log pass@k against N, a panel a metric, a line an exponent (Figure 6). `frame` is a table's."""
    arms = sweep(spec)
    average = frame[frame["benchmark"] == AVERAGE]
    with matplotlib.rc_context(STYLE), np.errstate(divide="ignore"):
        columns = len(spec["metrics"])
        figure = Figure(figsize=(0.6 + 2.2 * columns, 2.5), layout="constrained")
        for axes, metric in zip(figure.subplots(1, columns, squeeze=False)[0], spec["metrics"], strict=True):
            cells = average[average["k"] == metric_k(metric)].set_index("arm")
            for gamma, of_gamma in arms.groupby("gamma"):
                line = of_gamma.set_index("arm").join(cells).sort_values("group_size")
                colour = colour_of(gamma, arms)
                sizes, surprise = line["group_size"], -np.log(line[["value", "low", "high"]])
                axes.plot(sizes, surprise["value"], "o-", color=colour, label=gamma_label(gamma))
                band(axes, sizes, surprise["high"], surprise["low"], colour)
            for name in set(cells.index) - set(arms["arm"]):
                label = next(arm_label(arm) for arm in spec["arms"] if arm["name"] == name)
                axes.axhline(-np.log(cells.loc[name, "value"]), color=REFERENCE, linestyle=":", label=label)
            axes.set_title(metric)
            log_axis(axes, sorted(arms["group_size"].unique()))
            axes.set_xlabel("group size N")
            axes.set_ylim(bottom=0)
        figure.axes[0].set_ylabel("−log pass@k")
        figure.axes[0].legend()
    return figure


def training_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """What a run's files say of its way: `arm`, `seed`, `step`, `quantity`, `value`.

    Quantities are the reward in training, averaged over the steps between two points, and every pass@k
    that was measured at checkpoints.
    """
    rows = []
    for run in runs:
        rewards = [line["reward/mean"] for line in step_lines.read(run.directory / "metrics.jsonl")]
        done = 0
        for part in np.array_split(rewards, POINTS):
            if len(part):
                done += len(part)
                rows.append((run.arm, run.seed, done, REWARD, float(np.mean(part))))
        for line in step_lines.read(run.directory / "validation.jsonl"):
            rows += [
                (run.arm, run.seed, line["step"], key.removeprefix("in_domain/"), value)
                for key, value in line.items()
                if key.startswith("in_domain/pass@")
            ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "quantity", "value"])


def training_curves(spec: dict[str, Any], curves: pd.DataFrame) -> Figure:
    """Reward, pass@1 and pass@k of the largest k against the step, a column a group size (Figure 7)."""
    arms = sweep(spec)
    measured = [name for name in curves["quantity"].unique() if name != REWARD]
    largest = max(measured, key=metric_k, default="pass@1")
    quantities = list(dict.fromkeys([REWARD, "pass@1", largest]))
    sizes = sorted(arms["group_size"].unique())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(0.6 + 1.8 * len(sizes), 0.5 + 1.6 * len(quantities)), layout="constrained")
        grid = figure.subplots(len(quantities), len(sizes), sharex=True, sharey="row", squeeze=False)
        for row, quantity in zip(grid, quantities, strict=True):
            for axes, size in zip(row, sizes, strict=True):
                for arm in arms[arms["group_size"] == size].itertuples():
                    chosen = curves[(curves["arm"] == arm.arm) & (curves["quantity"] == quantity)]
                    by_step = 100 * chosen.groupby("step")["value"].agg(["mean", "min", "max"])
                    colour = colour_of(arm.gamma, arms)
                    axes.plot(by_step.index, by_step["mean"], color=colour, label=gamma_label(arm.gamma))
                    band(axes, by_step.index, by_step["min"], by_step["max"], colour)
            row[0].set_ylabel(f"{quantity} (%)")
        for axes, size in zip(grid[0], sizes, strict=True):
            axes.set_title(f"N = {size}")
        for axes in grid[-1]:
            axes.set_xlabel("step")
        grid[0][-1].legend()
    return figure


def gamma_label(gamma: float) -> str:
    return f"γ = {gamma:g}" if gamma else "no focal scaling"


def colour_of(gamma: float, arms: pd.DataFrame) -> str:
    """Grey without focal scaling, else by the exponent's place among those of the table."""
    focal = sorted(set(arms["gamma"]) - {0})
    return COLOURS[focal.index(gamma) % len(COLOURS)] if gamma else BASELINE
