"""What a run's evaluation came to, with intervals, for whoever prints or plots it."""

from math import isnan, nan
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from rlvr.evaluation.intervals import share_interval
from rlvr.evaluation.passk import counts, pass_at_k_of
from rlvr.files.run_files import RunFiles, damage_as_sentence

COLUMNS = ["benchmark", "domain", "problems", "k", "value", "low", "high"]


def pass_at_k_of_run(run: RunFiles) -> pd.DataFrame:
    """pass@k on every benchmark that a run was asked, at each k.

    Returns:
        `COLUMNS`: `value` from 0 to 1 is the mean over problems with k scorable samples, NaN where there are
        none; `low` and `high` are its 95 % interval over problems, NaN also where the samples are not there.
    """
    rows = []
    for name, result in run.summary.get("evaluation", {}).items():
        tally = counts(file) if (file := run.samples(name)) else None
        for k in sorted(map(int, result["pass@k"])):
            value = result["pass@k"][str(k)]
            low = high = nan
            if value is not None and tally is not None:
                _, low, high = share_interval(pass_at_k_of(tally, k))
            place = (name, result["domain"], result["problems"], k)
            rows.append((*place, nan if value is None else value, low, high))
    return pd.DataFrame(rows, columns=COLUMNS)


def mean_rewards_of(file: Path) -> pd.Series:
    """The mean graded reward of each problem's samples, by problem, of those that have one."""
    with damage_as_sentence(file):
        if "reward" not in pq.read_schema(file).names:
            return pd.Series(dtype=float)
        samples = pq.read_table(file, columns=["problem_id", "reward"]).to_pandas()
    return samples.groupby("problem_id")["reward"].mean().dropna()


def give_or_take(half: float, text: str, between: str = " ± ") -> str:
    """What stands behind a value: half the width of its interval as text; nothing where it has none (NaN)."""
    return "" if isnan(half) else f"{between}{text}"


def percent(value: float, low: float = nan, high: float = nan, between: str = " ± ") -> str:
    """A share and half the width of its interval in percent, such as "12.5 ± 3.1"; "–" where it is NaN."""
    if isnan(value):
        return "–"
    return f"{100 * value:.1f}" + ("" if isnan(low) else f"{between}{50 * (high - low):.1f}")
