"""Arms that sampled more or fewer tokens than their baseline, compared where both had sampled as many."""

from collections.abc import Sequence
from math import isnan

import numpy as np
import pandas as pd

from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import by_arm
from rlvr.tables.panels import Panel
from rlvr.tables.spec import TableSpec, metric_k

APART = 0.05  # of the baseline's tokens, from which equal steps are no longer nearly equal tokens


def equal_tokens_panels(spec: TableSpec, runs: Sequence[RunFiles]) -> list[Panel]:
    """One panel with a row for each arm that is `APART` from its baseline; none if no arm is.

    In each seed both are taken at the last checkpoint before the smaller of their totals, from validation.
    """
    paths = {
        name: {run.seed: path for run in of_arm if not (path := _path(run)).empty}
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


def _path(run: RunFiles) -> pd.DataFrame:
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
