"""The figures of what happened on the way: training by step, and entropy against pass@k.

`training_curves` are F-GRPO's Figure 7, `dynamics_curves` its Figures 8 to 10, one for tables of group sizes,
the other for arms beside their baselines.
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rlvr.errors import unknown
from rlvr.files.run_files import Line, RunFiles
from rlvr.tables.figures import BASELINE, COLOURS, STYLE, draw_seeds
from rlvr.tables.spec import TableSpec, metric_k
from rlvr.tables.sweep_figures import gamma_colour, gamma_label, swept_arms

CAPTIONS = {
    "training": "Reward in training, and pass@k on held-out problems at every checkpoint, by group size: "
    "means over seeds, bands from the lowest seed to the highest.",
    "dynamics": "Training by step: reward, entropy and length of the rollouts, as exponential moving "
    "averages, and pass@1 in validation; mean over seeds, bands from the lowest seed to the highest.",
    "entropy": "Entropy of the policy in the ten steps up to its evaluated checkpoint (nats a token) against "
    "in-domain pass@k; a point a seed, all arms that were trained.",
}
REWARD = "training reward"
POINTS = 40  # of a curve of rewards, each the mean of the steps since the last
DYNAMICS = {
    "reward/mean": "reward",
    "policy/entropy": "entropy (nats a token)",
    "completion/length_mean": "length (tokens)",
}


def training_frame(runs: Sequence[RunFiles]) -> pd.DataFrame:
    """What a run's files say of its way: `arm`, `seed`, `step`, `quantity`, `value`.

    Quantities are the reward in training, averaged over the steps between two points, and every pass@k
    that was measured at checkpoints.
    """
    rows = []
    for run in runs:
        for part in np.array_split(run.metrics, POINTS):
            rewards = [line["reward/mean"] for line in part if "reward/mean" in line]
            if rewards:  # none in steps of which nothing could be judged
                rows.append((run.arm, run.seed, part[-1]["step"], REWARD, float(np.mean(rewards))))
        for line in run.validation:
            rows += [
                (run.arm, run.seed, line["step"], key.removeprefix("in_domain/"), value)
                for key, value in line.items()
                if key.startswith("in_domain/pass@")
            ]
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "quantity", "value"])


def training_curves(spec: TableSpec, curves: pd.DataFrame) -> Figure:
    """Reward, pass@1 and pass@k of the largest k against the step, a column a group size (Figure 7)."""
    arms = swept_arms(spec)
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
                    of_arm = curves[curves["arm"] == arm.arm]
                    chosen = of_arm[of_arm["quantity"] == quantity]
                    by_seed = chosen.pivot(index="step", columns="seed", values="value")
                    by_seed = 100 * by_seed.reindex(columns=of_arm["seed"].unique())
                    colour = gamma_colour(arm.gamma, arms)
                    draw_seeds(axes, by_seed, color=colour, label=gamma_label(arm.gamma))
            row[0].set_ylabel(f"{quantity} (%)")
        for axes, size in zip(grid[0], sizes, strict=True):
            axes.set_title(f"N = {size}")
        for axes in grid[-1]:
            axes.set_xlabel("step")
        grid[0][-1].legend()
    return figure


def moving_average(values: Sequence[float] | pd.Series, smoothing: float) -> pd.Series:
    """Exponential moving average: each value has the weight `smoothing`, what came before the rest."""
    return pd.Series(values, dtype=float).ewm(alpha=smoothing, adjust=False).mean()


def dynamics_curves(spec: TableSpec, runs: Sequence[RunFiles]) -> Figure:
    """Reward, entropy, length and validation by step (rows), a column for each arm and its baseline."""
    pairs, options = spec.pairs, spec.dynamics
    assert options is not None
    logged = {key for run in runs for line in run.validation for key in line if key != "step"}
    if logged and options.validation not in logged:
        raise unknown("key of dynamics.validation", options.validation, logged)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(pairs), 7.2), layout="constrained")
        grid = figure.subplots(len(DYNAMICS) + 1, len(pairs), sharex=True, sharey="row", squeeze=False)
        for column, pair in enumerate(pairs):
            colours = BASELINE, COLOURS[column % len(COLOURS)]
            for name, colour, style in zip(pair, colours, ("--", "-"), strict=True):
                if not (seeds := [run for run in runs if run.arm == name]):
                    continue
                drawn = {"color": colour, "linestyle": style, "label": spec.arm_labels[name]}
                for key, axes in zip(DYNAMICS, grid[:, column], strict=False):
                    curves = [moving_average(_curve(run.metrics, key), options.smoothing) for run in seeds]
                    draw_seeds(axes, pd.concat(curves, axis=1), **drawn)
                curves = [100 * _curve(run.validation, options.validation) for run in seeds]
                draw_seeds(grid[-1, column], pd.concat(curves, axis=1), **drawn)
            grid[0, column].legend(loc="lower right")
            grid[-1, column].set_xlabel("step")
        texts = [*DYNAMICS.values(), f"{spec.label(options.validation)} (%)"]
        for axes, text in zip(grid[:, 0], texts, strict=True):
            axes.set_ylabel(text)
    return figure


def _curve(lines: Sequence[Line], key: str) -> pd.Series:
    """What lines say of a key, by step; a step of which nothing could be judged says nothing."""
    return pd.Series({line["step"]: line[key] for line in lines if key in line}, dtype=float)


def entropy_points(spec: TableSpec, runs: Sequence[RunFiles], window: int = 10) -> pd.DataFrame:
    """Entropy and in-domain pass@k (the largest k of the metrics) of each trained run.

    Returns:
        `arm`, `seed`, `entropy`: mean over the `window` steps up to the evaluated checkpoint, in nats a
        token; `pass_at_k`: the average over in-domain benchmarks as the run's summary has it.
    """
    k = str(max(spec.ks))
    benchmarks = next(iter(spec.columns.values()))
    rows = []
    for run in runs:
        evaluated, last = run.summary.get("evaluation", {}), run.summary.get("checkpoint_step", 0)
        solved = [evaluated.get(name, {}).get("pass@k", {}).get(k) for name in benchmarks]
        # none for the base policy, which is evaluated at step 0, nor for an engine that doesn't say
        entropies = [
            line["policy/entropy"]
            for line in run.metrics
            if last - window < line["step"] <= last and "policy/entropy" in line
        ]
        if entropies and None not in solved:
            rows.append([run.arm, run.seed, float(np.mean(entropies)), float(np.mean(solved))])
    return pd.DataFrame(rows, columns=["arm", "seed", "entropy", "pass_at_k"])


def entropy_scatter(spec: TableSpec, points: pd.DataFrame) -> Figure:
    """`entropy_points`, a colour and marker for each arm."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for number, arm in enumerate(arm for arm in spec.arms if arm.name in set(points["arm"])):
            seeds = points[points["arm"] == arm.name]
            colour, marker = COLOURS[number % len(COLOURS)], "os^Dv"[number // len(COLOURS) % 5]
            axes.plot(seeds["entropy"], 100 * seeds["pass_at_k"], marker, color=colour, label=arm.label)
        axes.set_xlabel("entropy (nats a token)")
        axes.set_ylabel(f"In-domain pass@{max(spec.ks)} (%)")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
