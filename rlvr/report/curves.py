"""The curves of a report: pass@k against k, and every logged metric against the step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import AVERAGE
from rlvr.tables.spec import TableSpec

POINTS = 400  # of a curve; of longer ones each point is the mean of a few steps
NUMBERS = ["value", "low", "high", "difference", "difference_low", "difference_high"]


def passk_curves(spec: TableSpec, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """pass@k of every arm on each benchmark and average.

    Returns:
        One entry a benchmark: `key`, `label`, and `arms`, by arm {"k", *NUMBERS} lists in percent; an arm
        that was not run is not there.
    """
    columns = frame[["group", "benchmark"]].drop_duplicates().itertuples(index=False, name=None)
    # averages first: they are what one looks at first
    columns = sorted(columns, key=lambda column: column[1] != AVERAGE)
    curves = []
    for group, benchmark in columns:
        average = benchmark == AVERAGE
        rows = frame[(frame["group"] == group) & (frame["benchmark"] == benchmark)]
        arms = {}
        for arm, numbers in rows[rows["value"].notna()].groupby("arm", sort=False):
            percent = {name: plain(100 * numbers[name]) for name in NUMBERS}
            arms[arm] = {"k": numbers["k"].tolist(), **percent}
        curves.append(
            {
                "key": f"{group}/{benchmark}",
                "label": f"{spec.label(group)} average" if average else spec.label(benchmark),
                "arms": arms,
            }
        )
    return curves


def learning_curves(runs: Sequence[RunFiles]) -> list[dict[str, Any]]:
    """What each run logged: {"arm", "seed", "series": {metric: {"step": [...], "value": [...]}}}.

    Metrics are those of metrics.jsonl and timing.jsonl, and `validation/...` at the checkpoints.
    """
    return [
        {"arm": run.arm, "seed": run.seed, "series": series}
        for run in runs
        if run.trains and (series := run_series(run))
    ]


def run_series(run: RunFiles) -> dict[str, dict[str, list]]:
    """The curves of one run, by metric."""
    series: dict[str, dict[str, list]] = {}
    for lines, prefix in ((run.validation, "validation/"), (run.metrics, ""), (run.timing, "")):
        if not lines:
            continue
        by_step = pd.DataFrame(lines).set_index("step")
        for metric in by_step.columns:
            curve = thinned(by_step[metric].dropna())
            series[prefix + metric] = {"step": plain(curve.index.to_series()), "value": plain(curve)}
    return series


def thinned(curve: pd.Series, points: int = POINTS) -> pd.Series:
    """The curve with at most so many points, each the mean of the same number of steps (the last: fewer)."""
    if len(curve) <= points:
        return curve
    bins = np.arange(len(curve)) // -(-len(curve) // points)
    steps = curve.index.to_series().groupby(bins).mean()
    return pd.Series(curve.groupby(bins).mean().to_numpy(), index=steps)


def plain(numbers: pd.Series) -> list[float | None]:
    """For JSON: five significant digits, None where there is no number."""
    rounded = [float(f"{number:.5g}") if np.isfinite(number) else None for number in numbers.astype(float)]
    return [int(number) if number is not None and number.is_integer() else number for number in rounded]
