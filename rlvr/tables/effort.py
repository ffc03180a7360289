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

import numpy as np
import pandas as pd
from scipy import stats

from rlvr.files.run_files import Line, RunFiles
from rlvr.tables.spec import EFFORT_UNITS, TableSpec

OWN_BEST = "own best"  # the target that each arm sets itself
FLOPS = ("generated", "trained", "profiling", "selection")  # what a run's FLOPs are made of
SECONDS = ("training", "profiling")


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
