"""The figures of a table: pass@k against k, and what an arm adds to its baseline.

Both are grids: a row for the average of each group of benchmarks, a column for each baseline with up to four
of its arms. The arms of a sweep (see `rlvr.tables.sweep_figures`) are a fan in a column of their own.
"""

import textwrap
from collections.abc import Sequence
from itertools import cycle

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from rlvr.tables.collect import AVERAGE
from rlvr.tables.spec import TableSpec

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]  # Okabe and Ito's: told apart by everyone
BASELINE, REFERENCE = "#444444", "#999999"
INSIDE = 6  # entries of a legend that a panel has room for
LABEL = 36  # characters of a line of it
CAPTIONS = {
    "pass-at-k": "pass@k averaged over benchmarks; bands are the 95 % intervals of the cells.",
    "difference": "Difference to the baseline in average pass@k, with its 95 % interval; filled markers are "
    "significant, hollow ones are not or were not tested.",
}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.hashsalt": "rlvr",  # the same numbers give the same bytes
    "svg.fonttype": "none",
}


def pass_at_k_curves(spec: TableSpec, frame: pd.DataFrame) -> Figure:
    """The average pass@k of arms (coloured) over their baseline (dashed), a column for each baseline.

    Arms in no column are dotted, in every panel. A table without any is one column of plain curves.
    """
    columns = _columns(spec)
    drawn = {name for column in columns for name in column}
    others = [arm.name for arm in spec.arms if arm.name not in drawn]
    if columns:
        columns = [dict.fromkeys(others, (REFERENCE, ":")) | column for column in columns]
    else:
        many = [to_hex(colour) for colour in matplotlib.colormaps["tab20"].colors]  # type: ignore[attr-defined]
        colours = cycle(COLOURS if len(others) <= len(COLOURS) else many)
        columns = [{name: (colour, "-") for name, colour in zip(others, colours, strict=False)}]
    labels = {name: wrapped(label) for name, label in spec.arm_labels.items()}
    with matplotlib.rc_context(STYLE):
        figure, grid = _grid(spec, len(columns))
        for group, row in zip(spec.columns, grid, strict=True):
            for lines, axes in zip(columns, row, strict=True):
                for name, (colour, line) in lines.items():
                    curve = _average(frame, group, name)
                    text = labels[name] + (" (not run)" if curve["value"].isna().all() else "")
                    axes.plot(curve["k"], curve["value"], line, color=colour, label=text)
                    if line != ":":
                        band(axes, curve["k"], curve["low"], curve["high"], colour)
            row[0].set_ylabel(f"{spec.label(group)} avg. pass@k (%)")
        if len(columns) == 1 and len(columns[0]) > INSIDE:
            figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper")
            figure.set_figwidth(figure.get_figwidth() + 2.2)
        else:
            for axes in grid[0]:
                axes.legend(loc="lower right", handlelength=2.4)
    return figure


def difference_curves(spec: TableSpec, frame: pd.DataFrame) -> Figure:
    """Arm minus baseline in average pass@k; filled markers where it is significant."""
    columns = _by_baseline(spec)
    labels = {name: wrapped(label) for name, label in spec.arm_labels.items()}
    with matplotlib.rc_context(STYLE):
        figure, grid = _grid(spec, len(columns))
        for group, row in zip(spec.columns, grid, strict=True):
            for (baseline, names), axes in zip(columns, row, strict=True):
                axes.axhline(0, color=BASELINE, linewidth=0.8)
                for name, colour in names.items():
                    curve = _average(frame, group, name)
                    text = f"{labels[name]} − {labels[baseline]}"
                    axes.plot(curve["k"], curve["difference"], color=colour, label=text)
                    band(axes, curve["k"], curve["difference_low"], curve["difference_high"], colour)
                    significant = curve["significant"].fillna(False).astype(bool)
                    for points, fill in ((curve[~significant], "white"), (curve[significant], colour)):
                        axes.plot(points["k"], points["difference"], "o", color=colour, markerfacecolor=fill)
                if all(_average(frame, group, name)["difference"].isna().all() for name in names):
                    axes.text(0.5, 0.6, "not run", transform=axes.transAxes, ha="center", color=BASELINE)
            row[0].set_ylabel(f"{spec.label(group)} avg.\ndifference (points)")
        for axes, (baseline, names) in zip(grid[0], columns, strict=True):
            if len(names) == 1:
                axes.set_title(f"{labels[next(iter(names))]} − {labels[baseline]}")
            else:
                axes.legend(loc="upper left", handlelength=2.4)
    return figure


def _by_baseline(spec: TableSpec) -> list[tuple[str, dict[str, str]]]:
    """Each baseline with the arms compared with it and their colours, at most as many as there are colours.

    A baseline with one arm takes the next colour, so that neighbours differ.
    """
    found = []
    for baseline in dict.fromkeys(baseline for baseline, _ in spec.pairs):
        names = [name for against, name in spec.pairs if against == baseline]
        for start in range(0, len(names), len(COLOURS)):
            few = names[start : start + len(COLOURS)]
            first = len(found) % len(COLOURS) if len(few) == 1 else 0
            found.append((baseline, dict(zip(few, COLOURS[first:] + COLOURS[:first], strict=False))))
    return found


def _columns(spec: TableSpec) -> list[dict[str, tuple[str, str]]]:
    """Colour and line of each arm of each column of curves; a baseline first and so below."""
    columns = []
    for one in dict.fromkeys(arm.series for arm in spec.arms if arm.series):
        names = [arm.name for arm in spec.arms if arm.series == one]
        if len(names) > 1:
            shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(names)))
            columns.append({name: (to_hex(shade), "-") for name, shade in zip(names, shades, strict=True)})
    for baseline, names in _by_baseline(spec):
        if not any({baseline, *names} <= set(column) for column in columns):
            lines = {name: (colour, "-") for name, colour in names.items()}
            columns.append({baseline: (BASELINE, "--")} | lines)
    return columns


def _average(frame: pd.DataFrame, group: str, arm: str) -> pd.DataFrame:
    """One curve, in percent."""
    rows = (frame["group"] == group) & (frame["benchmark"] == AVERAGE) & (frame["arm"] == arm)
    shares = ["value", "low", "high", "difference", "difference_low", "difference_high"]
    return frame[rows].assign(**{name: 100 * frame[name] for name in shares})


def wrapped(label: str) -> str:
    """An arm's label in lines that a panel has room for."""
    return textwrap.fill(label, LABEL, break_on_hyphens=False)


def band(axes: Axes, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
    """What lies between two curves, lightly in the colour of the one in its middle."""
    axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def draw_seeds(axes: Axes, curves: pd.DataFrame, x: pd.Series | None = None, **line: str) -> None:
    """The mean over seeds and the band between the lowest and the highest, at the steps that all have.

    Args:
        curves: [steps, seeds].
        x: by step, what they are drawn against; the steps themselves without it.
    """
    curves = curves.dropna()
    places = curves.index if x is None else x[curves.index]
    axes.plot(places, curves.mean(axis=1), **line)
    band(axes, places, curves.min(axis=1), curves.max(axis=1), line["color"])


def log_axis(axes: Axes, ticks: Sequence[float], base: float = 2) -> None:
    """A logarithmic x axis that reads just these numbers."""
    axes.set_xscale("log", base=base)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _grid(spec: TableSpec, columns: int) -> tuple[Figure, np.ndarray]:
    """Axes [groups, columns] over a log2 axis of k that reads 1, 4, 16, and so on."""
    rows = len(spec.columns)
    figure = Figure(figsize=(max(3.4, 2.4 * columns), 0.3 + 1.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey="row", squeeze=False)
    largest = max(spec.ks)
    for axes in grid.flat:
        log_axis(axes, [4**power for power in range(largest.bit_length() // 2 + 1) if 4**power <= largest])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    for axes in grid[-1]:
        axes.set_xlabel("k")
    return figure, grid
