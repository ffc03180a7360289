"""Members of a family against each other: pass@k against pass@1, and the best learning rate of each."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import AVERAGE
from rlvr.tables.figures import STYLE
from rlvr.tables.members import has_all_rates, members, own_strength
from rlvr.tables.panels import Panel
from rlvr.tables.spec import Arm, TableSpec, metric_k

CAPTION = (
    "Left: {y} against {x}, averages of the first group; a line joins the strengths of a member at the "
    "table's learning rate, hollow markers are other learning rates, the star is the policy before training. "
    "Right: the way there, in validation at every checkpoint, each member at its own strength. Means over "
    "seeds."
)
MARKERS = "osD^vP*X<>"
RATES = ["member", "arm", "rate", "seeds", "k", "value", "best"]


def rates_frame(spec: TableSpec, runs: Sequence[RunFiles]) -> pd.DataFrame:
    """Validation of each member, at its own strength, at every learning rate, and which rate is best.

    Returns:
        `RATES`: pass@k in validation at the checkpoint measured, from 0 to 1, for k = 1 and the largest there
        is, mean over the seeds that the member has at every rate; `best` is true of one arm for each k of a
        member of which every rate has run, the first of equals.
    """
    rows = []
    for member, arms in members(spec).items():
        by_seed = {
            arm.name: {run.seed: run for run in runs if run.arm == arm.name and run.validation}
            for arm in own_strength(arms)
        }
        by_seed = {name: of_arm for name, of_arm in by_seed.items() if of_arm}
        for name, of_arm in by_seed.items():
            seeds = set(of_arm).intersection(*by_seed.values())  # rates are compared on the same ones
            if not seeds:
                continue
            measured = [_measured_line(of_arm[seed]) for seed in sorted(seeds)]
            for k in sorted({1, largest_k(measured)}):
                values = [line.get(f"in_domain/pass@{k}") for line in measured]
                if None in values:
                    continue  # of a seed nothing could be judged there, and one of two is no mean over seeds
                value = round(float(np.mean(values)), 12)  # equal ones summed in another order are equal
                rate = next(iter(of_arm.values())).config.training.learning_rate
                rows.append([member, name, rate, len(seeds), k, value, False])
    frame = pd.DataFrame(rows, columns=RATES)
    whole = [name for name, arms in members(spec).items() if has_all_rates(arms, set(frame["arm"]))]
    if len(known := frame[frame["member"].isin(whole)]):
        frame.loc[known.groupby(["member", "k"])["value"].idxmax(), "best"] = True
    return frame


def largest_k(lines: Sequence[Mapping[str, float]]) -> int:
    """The largest k of pass@k in some lines of validation.jsonl, of which one may lack what another has."""
    names = {key.removeprefix("in_domain/") for line in lines for key in line if "/pass@" in key}
    return max(map(metric_k, names), default=1)


def _measured_line(run: RunFiles) -> dict[str, float]:
    return next(line for line in run.validation if line["step"] == run.entry("checkpoint_step"))


def rates_panel(frame: pd.DataFrame) -> Panel:
    """A row a member: pass@1 and pass@k in validation at each rate, the best in brackets."""
    rates = sorted(frame["rate"].unique())
    ks = sorted(frame["k"].unique())
    rows = []
    for member, of_member in frame.groupby("member", sort=False):
        cells = {(row.k, row.rate): row for row in of_member.itertuples()}
        texts = [_rate_text(cells.get((k, rate))) for k in ks for rate in rates]
        rows.append([str(member), *texts])
    header = ["", *(f"pass@{k}, rate {rate:g}" for k in ks for rate in rates)]
    return Panel(
        "Validation at the checkpoint measured, %; the best rate of each member in brackets", header, rows
    )


def _rate_text(cell: object) -> str:
    if cell is None:
        return "–"
    text = f"{100 * cell.value:.1f}"
    return f"[{text}]" if cell.best else text


def frontier_figure(spec: TableSpec, frame: pd.DataFrame, runs: Sequence[RunFiles]) -> Figure:
    """pass@k against pass@1 after training, and on the way."""
    group = next(iter(spec.columns))
    averages = frame[(frame["group"] == group) & (frame["benchmark"] == AVERAGE)]
    points = 100 * averages.pivot(index="arm", columns="metric", values="value")
    x, y = spec.metrics[0], spec.metrics[-1]
    found = members(spec)
    colours = matplotlib.colormaps["tab10" if len(found) <= 10 else "tab20"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for number, (member, arms) in enumerate(found.items()):
            style = {"color": colours(number % colours.N), "marker": MARKERS[number % len(MARKERS)]}
            _strengths(left, points, arms, x, y, member, style)
            chosen = [arm.name for arm in own_strength(arms) if not arm.rate]
            _path(right, [run for run in runs if run.arm in chosen], style)
        for arm in spec.arms:
            if not arm.member and arm.name in points.index and not arm.baseline:
                left.plot(*points.loc[arm.name, [x, y]], "*", color="black", markersize=11, label=arm.label)
        left.set(xlabel=f"{spec.label(group)} {x} (%)", ylabel=f"{spec.label(group)} {y} (%)")
        figure.legend(*left.get_legend_handles_labels(), loc="outside right upper")
    return figure


def _strengths(
    axes: Axes, points: pd.DataFrame, arms: Sequence[Arm], x: str, y: str, member: str, style: dict
) -> None:
    plain = [arm for arm in arms if not arm.rate and arm.name in points.index]
    plain.sort(key=lambda arm: arm.strength or 0)
    here = points.loc[[arm.name for arm in plain], [x, y]]
    axes.plot(here[x], here[y], label=member, **style)
    others = points.loc[[arm.name for arm in arms if arm.rate and arm.name in points.index], [x, y]]
    axes.plot(others[x], others[y], linestyle="", markerfacecolor="white", **style)


def _path(axes: Axes, runs: Sequence[RunFiles], style: dict) -> None:
    """The mean over seeds at every step that all seeds have."""
    lines = [pd.DataFrame(run.validation).set_index("step") for run in runs if run.validation]
    if not lines:
        return
    k = largest_k([line for run in runs for line in run.validation])
    names = ["in_domain/pass@1", f"in_domain/pass@{k}"]
    by_step = pd.concat([line.reindex(columns=names) for line in lines]).groupby(level=0)
    mean = 100 * by_step.mean()[(by_step.count() == len(lines)).all(axis=1)]
    axes.plot(mean[names[0]], mean[names[1]], linewidth=0.9, markersize=2.5, **style)
    axes.set(xlabel="pass@1 in validation (%)", ylabel=f"pass@{k} in validation (%)")
