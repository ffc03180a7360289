"""Figures of a whole experiment: a metric against what is swept, training curves, entropy against pass@k.

A table with `sweep: {label: group size N, base: 2}` has arms with an `x` and a `series`; an axis with a base
is logarithmic. One with `dynamics: {validation: aime25, smoothing: 0.08}` gets the curves of F-GRPO's
Figures 8 to 10; without `validation` their last panel is the average over in-domain benchmarks.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rlvr.files import step_lines
from rlvr.files.run_directory import read_summary
from rlvr.tables.collect import AVERAGE
from rlvr.tables.figures import BASELINE, COLOURS, STYLE, band, log_axis
from rlvr.tables.runs import Run
from rlvr.tables.spec import arm_label, label, metric_k

CAPTIONS = {
    "sweep": "Averages over benchmarks against what is swept, with the 95 % intervals of the cells.",
    "dynamics": "Training by step: reward, entropy and length of the rollouts, as exponential moving "
    "averages, and pass@1 in validation; mean over seeds, bands from the lowest seed to the highest.",
    "entropy": "Entropy of the policy in the ten steps up to its evaluated checkpoint (nats a token) against "
    "in-domain pass@k; a point a seed, all arms that were trained.",
}
PANELS = {
    "reward/mean": "reward",
    "policy/entropy": "entropy (nats a token)",
    "completion/length_mean": "length (tokens)",
}


def sweep_curves(spec: dict[str, Any], frame: pd.DataFrame) -> Figure:
    """The average of each metric (rows) and group (columns) against `x`, a line for each series."""
    sweep, arms = spec["sweep"], [arm for arm in spec["arms"] if "x" in arm]
    rows, columns = len(spec["metrics"]), len(spec["columns"])
    averages = frame[frame["benchmark"] == AVERAGE].set_index(["metric", "group", "arm"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * columns, 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for metric, row in zip(spec["metrics"], grid, strict=True):
            for group, axes in zip(spec["columns"], row, strict=True):
                for number, series in enumerate(dict.fromkeys(arm["series"] for arm in arms)):
                    of_series = [arm for arm in arms if arm["series"] == series]
                    cells = averages.loc[[(metric, group, arm["name"]) for arm in of_series]]
                    value, low, high = (100 * cells[name].to_numpy() for name in ("value", "low", "high"))
                    axes.errorbar(
                        [arm["x"] for arm in of_series],
                        value,
                        [value - low, high - value],
                        marker="o",
                        capsize=2,
                        color=COLOURS[number % len(COLOURS)],
                        label=series,
                    )
                axes.set_ylabel(f"{label(spec, group)} avg. {metric} (%)")
                ticks = sorted({arm["x"] for arm in arms})
                if base := sweep.get("base"):
                    log_axis(axes, ticks, base)
                else:
                    axes.set_xticks(ticks)
        for axes in grid[-1]:
            axes.set_xlabel(sweep["label"])
        grid[0, 0].legend()
    return figure


def moving_average(values: Sequence[float], smoothing: float) -> np.ndarray:
    """Exponential moving average: each value has the weight `smoothing`, what came before the rest."""
    series = pd.Series(values, dtype=float)
    return series.ewm(alpha=smoothing, adjust=False).mean().to_numpy()


def dynamics_curves(spec: dict[str, Any], runs: Sequence[Run]) -> Figure:
    """Reward, entropy, length and validation by step (rows), a column for each arm and its baseline."""
    pairs = [(arm["baseline"], arm["name"]) for arm in spec["arms"] if arm.get("baseline")]
    labels = {arm["name"]: arm_label(arm) for arm in spec["arms"]}
    options = spec["dynamics"]
    validation = options.get("validation", "in_domain/pass@1")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(pairs), 7.2), layout="constrained")
        grid = figure.subplots(len(PANELS) + 1, len(pairs), sharex=True, sharey="row", squeeze=False)
        for column, pair in enumerate(pairs):
            colours = BASELINE, COLOURS[column % len(COLOURS)]
            for name, colour, line in zip(pair, colours, ("--", "-"), strict=True):
                of_arm = [run for run in runs if run.arm == name]
                for key, axes in zip(PANELS, grid[:, column], strict=False):
                    lines = [step_lines.read(run.directory / "metrics.jsonl") for run in of_arm]
                    curves = [
                        moving_average([at[key] for at in of_run], options["smoothing"]) for of_run in lines
                    ]
                    _draw(
                        axes,
                        [[at["step"] for at in of_run] for of_run in lines],
                        curves,
                        line,
                        colour,
                        labels[name],
                    )
                lines = [step_lines.read(run.directory / "validation.jsonl") for run in of_arm]
                curves = [np.array([100 * at[validation] for at in of_run]) for of_run in lines]
                steps = [[at["step"] for at in of_run] for of_run in lines]
                _draw(grid[-1, column], steps, curves, line, colour, labels[name])
            grid[0, column].legend(loc="lower right")
            grid[-1, column].set_xlabel("step")
        for axes, text in zip(grid[:, 0], [*PANELS.values(), f"{label(spec, validation)} (%)"], strict=True):
            axes.set_ylabel(text)
    return figure


def _draw(axes, steps: list[list[int]], curves: list[np.ndarray], line: str, colour: str, text: str) -> None:
    """The mean over seeds and the band between the lowest and the highest."""
    if not curves:
        return
    values = np.stack(curves)
    axes.plot(steps[0], values.mean(axis=0), line, color=colour, label=text)
    band(axes, steps[0], values.min(axis=0), values.max(axis=0), colour)


def entropy_points(spec: dict[str, Any], runs: Sequence[Run], window: int = 10) -> pd.DataFrame:
    """Entropy and in-domain pass@k (the largest k of the metrics) of each trained run.

    Returns:
        `arm`, `seed`, `entropy`: mean over the `window` steps up to the evaluated checkpoint, in nats a
        token; `pass_at_k`: the average over in-domain benchmarks as the run's summary has it.
    """
    k = str(max(map(metric_k, spec["metrics"])))
    benchmarks = next(iter(spec["columns"].values()))
    rows = []
    for run in runs:
        summary = read_summary(run.directory)
        file = run.directory / "metrics.jsonl"
        evaluated, last = summary.get("evaluation", {}), summary.get("checkpoint_step", 0)
        of_step = {line["step"]: line["policy/entropy"] for line in step_lines.read(file)} if last else {}
        solved = [evaluated.get(name, {}).get("pass@k", {}).get(k) for name in benchmarks]
        if of_step and None not in solved:
            entropy = np.mean([value for step, value in of_step.items() if last - window < step <= last])
            rows.append([run.arm, run.seed, float(entropy), float(np.mean(solved))])
    return pd.DataFrame(rows, columns=["arm", "seed", "entropy", "pass_at_k"])


def entropy_scatter(spec: dict[str, Any], points: pd.DataFrame) -> Figure:
    """`entropy_points`, a colour and marker for each arm."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for number, arm in enumerate(arm for arm in spec["arms"] if arm["name"] in set(points["arm"])):
            of_arm = points[points["arm"] == arm["name"]]
            colour, marker = COLOURS[number % len(COLOURS)], "os^Dv"[number // len(COLOURS) % 5]
            axes.plot(
                of_arm["entropy"], 100 * of_arm["pass_at_k"], marker, color=colour, label=arm_label(arm)
            )
        axes.set_xlabel("entropy (nats a token)")
        axes.set_ylabel(f"In-domain pass@{max(map(metric_k, spec['metrics']))} (%)")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
