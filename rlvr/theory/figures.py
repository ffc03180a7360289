"""Figures 1(a), 2, 3, 4 and 5 of F-GRPO (arXiv 2602.06717), each written as PNG and SVG.

Left open by the paper, and the position taken: the borders of Figure 2's three regimes are not given. The
concentration zone is shaded here where the baseline's final retained mass is below one half, read off
between group sizes on the logarithmic axis. Figure 4 uses the population standard deviation of a
binary reward, sqrt(mu (1 - mu)).
`results/theory/README.md` says what the paper claims of Figure 2 and whether it shows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlvr.theory.simulation_grid import SimulationGrid
from rlvr.theory.tail_miss import most_tail_missing_group_size, tail_miss_probability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As the paper gives them for Figure 5; by its own logits the simulation starts at 0.630 and 6.3e-5.
FIGURE_5_SUCCESS, FIGURE_5_TARGET = 0.64, 6.3e-5
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by colour-blind readers too
CURVE_COLOURS = dict(zip((2, 256, 8192, 131072), COLOURS, strict=True))
FINAL_LINES = {"correct_mass": ("$Q_{pos}$", "0.25"), "retained_mass": ("$M_{ret}$", "#e69f00")}


def figure_1a(path: str | Path) -> list[Path]:
    """Tail-miss probability against the group size, for rare to less rare targets at mu = 0.3.

    As for all figures here, `path` is given without suffix; returns the files written, PNG and SVG.
    """
    with _figure(path, width=4.6, height=3.4) as figure:
        axes = figure.add_subplot()
        sizes, mu = np.arange(1, 129), 0.3
        for rho, colour in zip((0.05, 0.1, 0.2), COLOURS, strict=False):
            curve = tail_miss_probability(sizes, mu, rho * mu)
            axes.plot(sizes, curve, color=colour, label=f"$\\rho$ = {rho}")
            marked = np.array([2, 8, 32])
            axes.plot(marked, tail_miss_probability(marked, mu, rho * mu), "o", color=colour)
        _logarithmic_group_sizes(axes, [1, 2, 4, 8, 16, 32, 64, 128])
        axes.set(ylabel="tail-miss probability", ylim=(0, 1), title=f"$\\mu$ = {mu}")
        axes.legend(loc="upper left")
    return _files(path)


def figure_2(grid_path: str | Path, path: str | Path) -> list[Path]:
    """The categorical simulation, from the file that `run_simulation_grid` wrote.

    (a) correct and (b) retained mass against the step for some group sizes, (c) both after the last step
    against the group size, mean and standard deviation over seeds; solid for gamma = 0, dashed for 1.

    Raises:
        UserError: if there is no grid, or it lacks one of the two gammas.
    """
    grid = SimulationGrid.load(Path(grid_path))
    in_both = set(grid.final("correct_mass", 0.0)[0]) & set(grid.final("correct_mass", 1.0)[0])
    by_size = {N: colour for N, colour in CURVE_COLOURS.items() if N in in_both}
    with _figure(path, width=11, height=4) as figure:
        correct, retained, final = figure.subplots(1, 3)
        for axes, metric in ((correct, "correct_mass"), (retained, "retained_mass")):
            for N, colour in by_size.items():
                for gamma, line in ((0.0, "-"), (1.0, "--")):
                    axes.plot(grid.step, grid.curves(metric, N, gamma).mean(axis=0), line, color=colour)
            axes.set(xlabel="step", xlim=(0, grid.step[-1]))
        correct.set(title="(a) correct mass", ylabel="$Q_{pos}$", ylim=(0.6, 1.01))
        retained.set(title="(b) retained initial correct mass", ylabel="$M_{ret}$", ylim=(0, 1.02))
        _draw_final_masses(final, grid)
        sizes = _colour_key({f"N = {N:,}": colour for N, colour in by_size.items()})
        handles = sizes + _line_key("$\\gamma$ = 0", "$\\gamma$ = 1")
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return _files(path)


def concentration_zone(group_sizes: Sequence[int], retained_mass: np.ndarray) -> tuple[float, float]:
    """The first and the last group size where the final retained mass is below 1/2.

    Both are interpolated on the logarithmic axis; a zone that reaches an end of the axis ends there, and
    without a collapse it is empty, at the last group size.
    """
    below = np.flatnonzero(retained_mass < 0.5)
    if not len(below):
        return group_sizes[-1], group_sizes[-1]

    def border(inside: int, outside: int) -> float:
        if not 0 <= outside < len(group_sizes):
            return group_sizes[inside]
        pair = [inside, outside]
        return float(2 ** np.interp(0.5, retained_mass[pair], np.log2(group_sizes)[pair]))

    return border(below[0], below[0] - 1), border(below[-1], below[-1] + 1)


def figure_3(path: str | Path) -> list[Path]:
    """Tail-miss probability for easy to hard prompts; a star marks each curve's peak."""
    with _figure(path, width=10, height=3.4) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        sizes = np.arange(1, 513)
        for axes, mu in zip(panels, (0.8, 0.5, 0.2), strict=True):
            for rho, colour in zip((0.01, 0.05, 0.1, 0.2), COLOURS, strict=True):
                tau = rho * mu
                axes.plot(
                    sizes, tail_miss_probability(sizes, mu, tau), color=colour, label=f"$\\rho$ = {rho}"
                )
                peak = most_tail_missing_group_size(mu, tau)
                axes.plot(peak, tail_miss_probability(peak, mu, tau), "*", color=colour, markersize=11)
            _logarithmic_group_sizes(axes, [1, 4, 16, 64, 256])
            axes.set(title=f"$\\mu$ = {mu}", ylim=(0, 1))
        panels[0].set_ylabel("tail-miss probability")
        panels[0].legend(loc="upper right")
    return _files(path)


def figure_4(path: str | Path) -> list[Path]:
    """Size of the focal advantages (1 - mu)^gamma |A| of correct and wrong rollouts, equation (13)."""
    with _figure(path, width=5.6, height=3.4) as figure:
        axes = figure.add_subplot()
        mu = np.linspace(0.001, 0.999, 999)
        by_gamma = dict(zip((0, 0.5, 1), COLOURS, strict=False))
        for gamma, colour in by_gamma.items():
            focal = (1 - mu) ** gamma
            axes.plot(mu, focal * np.sqrt((1 - mu) / mu), "-", color=colour)
            axes.plot(mu, focal * np.sqrt(mu / (1 - mu)), "--", color=colour)
        axes.set(
            xlabel="success rate $\\mu$", ylabel="$(1 - \\mu)^\\gamma\\,|A|$", xlim=(0, 1), ylim=(0, 1.4)
        )
        gammas = _colour_key({f"$\\gamma$ = {gamma}": colour for gamma, colour in by_gamma.items()})
        figure.legend(handles=gammas + _line_key("correct", "wrong"), loc="outside right center")
    return _files(path)


def figure_5(path: str | Path) -> list[Path]:
    """Tail-miss probability of one leaf answer at the simulation's start: which group sizes miss it."""
    with _figure(path, width=4.6, height=3.4) as figure:
        axes = figure.add_subplot()
        sizes = 2 ** np.arange(18)
        curve = tail_miss_probability(sizes, FIGURE_5_SUCCESS, FIGURE_5_TARGET)
        axes.plot(sizes, curve, "o-", color=COLOURS[0], markersize=4)
        _logarithmic_group_sizes(axes, [1, 16, 256, 4096, 65536])
        title = f"$\\mu$ = {FIGURE_5_SUCCESS}, $\\tau$ = {FIGURE_5_TARGET:.6f}"
        axes.set(ylabel="tail-miss probability", ylim=(0, 1.05), title=title)
    return _files(path)


def _draw_final_masses(axes: "Axes", grid: SimulationGrid) -> None:
    for metric, (_, colour) in FINAL_LINES.items():
        for gamma, line in ((0.0, "-"), (1.0, "--")):
            sizes, mean, deviation = grid.final(metric, gamma)
            axes.plot(sizes, mean, line, color=colour)
            axes.fill_between(
                sizes, mean - deviation, mean + deviation, color=colour, alpha=0.25, linewidth=0
            )
    sizes, baseline, _ = grid.final("retained_mass", 0.0)
    left, right = concentration_zone(sizes, baseline)
    axes.axvspan(left, right, color="0.92", zorder=0)
    for name, start, end in (("I", sizes[0], left), ("II", left, right), ("III", right, sizes[-1])):
        if start < end:
            axes.text(np.sqrt(start * end), 1.06, name, ha="center", va="center")
    _logarithmic_group_sizes(axes, [2, 32, 512, 8192, 131072])
    axes.set(
        title=f"(c) after step {grid.step[-1]}", ylabel="mass", ylim=(0, 1.12), xlim=(sizes[0], sizes[-1])
    )
    axes.legend(handles=_colour_key(dict(FINAL_LINES.values())), loc="center", bbox_to_anchor=(0.55, 0.52))


def _logarithmic_group_sizes(axes: "Axes", ticks: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xlabel("group size N")


def _colour_key(colours: dict[str, str]) -> list:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=colour, label=label) for label, colour in colours.items()]


def _line_key(solid: str, dashed: str) -> list:
    from matplotlib.lines import Line2D

    return [Line2D([], [], color="black", linestyle=s, label=t) for s, t in (("-", solid), ("--", dashed))]


@contextmanager
def _figure(path: str | Path, *, width: float, height: float) -> Iterator["Figure"]:
    """A figure, in inches, that is written on leaving; the same drawing gives the same bytes."""
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.figure import Figure

    style = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.titlesize": "medium",
        "legend.frameon": False,
        "font.size": 9,
        "svg.hashsalt": "rlvr",
    }
    with rc_context():
        rcdefaults()
        rcParams.update(style)
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        png, svg = _files(path)
        png.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(png, dpi=150, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None})


def _files(path: str | Path) -> list[Path]:
    return [Path(f"{path}.png"), Path(f"{path}.svg")]
