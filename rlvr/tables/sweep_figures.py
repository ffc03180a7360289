"""The figures of a table whose arms sweep a number: any metric against it, and −log pass@k against N.

For the first a table says `sweep: {label: group size N, base: 2}`, and its arms an `x` and a `series`. For
the second (F-GRPO, Figure 6) it says `figures: [group-size]`, and its arms a `group_size` and a `gamma`.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rlvr.tables.collect import AVERAGE
from rlvr.tables.figures import BASELINE, COLOURS, REFERENCE, STYLE, band, log_axis
from rlvr.tables.spec import TableSpec, metric_k

CAPTIONS = {
    "sweep": "Averages over benchmarks against what is swept, with the 95 % intervals of the cells.",
    "group-size": "−log pass@k of the last policies against the group size: lower is better. Bands are the "
    "95 % intervals of the cells, dotted is the policy before training.",
}


def sweep_curves(spec: TableSpec, frame: pd.DataFrame) -> Figure:
    """The average of each metric (rows) and group (columns) against `x`, a line for each series."""
    arms = [arm for arm in spec.arms if arm.x is not None]
    assert spec.sweep is not None
    averages = frame[frame["benchmark"] == AVERAGE].set_index(["metric", "group", "arm"])
    ticks = sorted({arm.x for arm in arms})
    names = list(dict.fromkeys(arm.series for arm in arms))
    with matplotlib.rc_context(STYLE):
        rows, columns = len(spec.metrics), len(spec.columns)
        figure = Figure(figsize=(3.2 * columns, 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for metric, row in zip(spec.metrics, grid, strict=True):
            for group, axes in zip(spec.columns, row, strict=True):
                for number, series in enumerate(names):
                    line = [arm for arm in arms if arm.series == series]
                    x = np.array([arm.x for arm in line], dtype=float)
                    cells = averages.loc[[(metric, group, arm.name) for arm in line]]
                    value, low, high = (100 * cells[name].to_numpy() for name in ("value", "low", "high"))
                    axes.errorbar(
                        set_apart(x, number - (len(names) - 1) / 2, len(names), ticks, spec.sweep.base),
                        value,
                        [value - low, high - value],
                        marker="o",
                        capsize=2,
                        elinewidth=0.8,
                        color=COLOURS[number % len(COLOURS)],
                        label=series,
                    )
                axes.set_ylabel(f"{spec.label(group)} avg.\n{metric} (%)")
                if spec.sweep.base:
                    log_axis(axes, ticks, spec.sweep.base)
                else:
                    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        for axes in grid[-1]:
            axes.set_xlabel(spec.sweep.label)
        # error bars take the whole height of a panel
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def set_apart(
    x: np.ndarray, place: float, count: int, ticks: Sequence[float], base: int | None
) -> np.ndarray:
    """Where a series stands, a little beside the others, so that their error bars do not cover each other.

    Args:
        place: of the series among them, 0 in the middle.
        count: of series, which together take at most 0.3 of the smallest gap between ticks.
        base: of the axis, if it is logarithmic.
    """
    if count < 2 or len(ticks) < 2:
        return x
    gaps = np.diff(np.log(ticks) if base else ticks)
    step = place * min(0.02 * gaps.sum(), 0.3 * gaps.min() / (count - 1))
    return x * np.exp(step) if base else x + step


def swept_arms(spec: TableSpec) -> pd.DataFrame:
    """The arms that say their group size and exponent: `arm`, `group_size`, `gamma`."""
    rows = [(arm.name, arm.group_size, arm.gamma) for arm in spec.arms if arm.group_size is not None]
    return pd.DataFrame(rows, columns=["arm", "group_size", "gamma"])


def group_size_curves(spec: TableSpec, frame: pd.DataFrame) -> Figure:
    """−log pass@k against N, a panel a metric, a line an exponent (Figure 6). `frame` is a table's."""
    arms = swept_arms(spec)
    first_group = next(iter(spec.columns))  # in-domain benchmarks; a second group would need a row of its own
    average = frame[(frame["benchmark"] == AVERAGE) & (frame["group"] == first_group)]
    with matplotlib.rc_context(STYLE), np.errstate(divide="ignore"):
        columns = len(spec.metrics)
        figure = Figure(figsize=(0.6 + 2.2 * columns, 2.5), layout="constrained")
        for axes, metric in zip(figure.subplots(1, columns, squeeze=False)[0], spec.metrics, strict=True):
            cells = average[average["k"] == metric_k(metric)].set_index("arm")
            for gamma, same_gamma in arms.groupby("gamma"):
                line = same_gamma.set_index("arm").join(cells).sort_values("group_size")
                colour = gamma_colour(gamma, arms)
                sizes, surprise = line["group_size"], -np.log(line[["value", "low", "high"]])
                axes.plot(sizes, surprise["value"], "o-", color=colour, label=gamma_label(gamma))
                band(axes, sizes, surprise["high"], surprise["low"], colour)
            for name in cells.index.difference(arms["arm"], sort=False):
                surprise = -np.log(cells.loc[name, "value"])
                axes.axhline(surprise, color=REFERENCE, linestyle=":", label=spec.arm_labels[name])
            axes.set_title(metric)
            log_axis(axes, sorted(arms["group_size"].unique()))
            axes.set_xlabel("group size N")
            axes.set_ylim(bottom=0)
        figure.axes[0].set_ylabel("−log pass@k")
        figure.axes[0].legend()
    return figure


def gamma_label(gamma: float) -> str:
    return f"γ = {gamma:g}" if gamma else "no focal scaling"


def gamma_colour(gamma: float, arms: pd.DataFrame) -> str:
    """Grey without focal scaling, else by the exponent's place among those of the table."""
    focal = sorted(set(arms["gamma"]) - {0})
    return COLOURS[focal.index(gamma) % len(COLOURS)] if gamma else BASELINE
