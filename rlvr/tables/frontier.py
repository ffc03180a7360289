"""Members of a family against each other: pass@k against pass@1, and at equal tokens."""

from collections.abc import Sequence
from math import isnan

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import AVERAGE, by_arm
from rlvr.tables.figures import STYLE
from rlvr.tables.part import Panel, Part, TableFigure
from rlvr.tables.rates import largest_k, members, own_strength
from rlvr.tables.spec import Arm, TableSpec, metric_k

CAPTION = (
    "Left: {y} against {x}, averages of the first group; a line joins the strengths of a member at the "
    "table's learning rate, hollow markers are other learning rates, the star is the policy before training. "
    "Right: the way there, in validation at every checkpoint, each member at its own strength. Means over "
    "seeds."
)
MARKERS = "osD^vP*X<>"
APART = 0.05  # of the baseline's tokens, from which equal steps are no longer nearly equal tokens


def part(spec: TableSpec, frame: pd.DataFrame, runs: Sequence[RunFiles]) -> Part:
    """Members against each other, where the table asks for it; `frame` is the table's."""
    if not spec.frontier:
        return Part()
    caption = CAPTION.format(x=spec.metrics[0], y=spec.metrics[-1])
    figure = TableFigure(caption, lambda: frontier_figure(spec, frame, runs))
    return Part(equal_tokens_panels(spec, runs), figures={"frontier": figure})


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


def equal_tokens_panels(spec: TableSpec, runs: Sequence[RunFiles]) -> list[Panel]:
    """One panel with a row for each arm that is `APART` from its baseline; none if no arm is.

    In each seed both are taken at the last checkpoint before the smaller of their totals, from validation.
    """
    paths = {
        name: {run.seed: path for run in of_arm if not (path := _tokens(run)).empty}
        for name, of_arm in by_arm(spec, runs).items()
    }
    rows, ks = [], []
    for arm in spec.arms:
        own, against = paths[arm.name], paths.get(arm.baseline or "", {})
        pairs = [(own[seed], against[seed]) for seed in own if seed in against]
        if not pairs:
            continue
        totals = [np.mean([path["tokens"].iloc[-1] for path in side]) for side in zip(*pairs, strict=True)]
        if abs(totals[0] / totals[1] - 1) <= APART:
            continue
        columns = set.intersection(*(set(path) for pair in pairs for path in pair))
        if not (named := [name for name in columns if name.startswith("pass@")]):
            continue
        ks = [min(named, key=metric_k), max(named, key=metric_k)]
        ends = []
        for pair in pairs:
            fewest = min(path["tokens"].iloc[-1] for path in pair)
            ends.append([_within(path, fewest) for path in pair])
        steps = [np.mean([end[side]["step"] for end in ends]) for side in (0, 1)]
        changes = [np.mean([one[k] - other[k] for one, other in ends]) for k in ks]
        rows.append(
            [
                arm.label,
                str(len(pairs)),
                f"{totals[0] / totals[1]:.2f}",
                *(f"{step:.0f}" for step in steps),
                *("–" if isnan(x) else f"{100 * x:+z.1f}".replace("-", "−") for x in changes),
            ]
        )
    header = ["", "seeds", "tokens / baseline's", "steps", "baseline's steps", *ks]
    title = f"At equal tokens, for arms that sampled {APART:.0%} more or less than their baseline: validation"
    return [Panel(title, header, rows)] if rows else []


def _tokens(run: RunFiles) -> pd.DataFrame:
    """[checkpoints] `step`, `tokens` sampled until then, and pass@k in validation."""
    sampled = pd.Series({line["step"]: line["tokens/sampled"] for line in run.metrics}, dtype=float).cumsum()
    lines = [line for line in run.validation if line["step"] in sampled.index]
    return pd.DataFrame(
        {"step": line["step"], "tokens": sampled[line["step"]]}
        | {key.removeprefix("in_domain/"): line[key] for key in line if key.startswith("in_domain/pass@")}
        for line in lines
    )


def _within(path: pd.DataFrame, tokens: float) -> pd.Series:
    """The last checkpoint before so many tokens; the first if it was later."""
    return path.iloc[max(int((path["tokens"] <= tokens).sum()) - 1, 0)]
