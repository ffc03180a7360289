"""pass@k, the chance that at least one of k completions of a problem is right, from stored counts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from rlvr.data import UNSCORABLE, Verdict
from rlvr.errors import UserError, unknown
from rlvr.files.run_files import damage_as_sentence


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> float | np.ndarray:
    """The unbiased estimate 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, eq. 1; F-GRPO, App. L.4).

    Args:
        n: scorable samples of a problem.
        c: how many of them are correct.
        k: how many completions one may try. All three are whole numbers, or arrays of them that
            broadcast against each other.

    Returns:
        float64 in [0, 1], of the broadcast shape (a float for three scalars); exactly 0 where c = 0 and
        exactly 1 where fewer than k samples are wrong; within 1e-13 of the fraction up to n = 2048.

    Raises:
        UserError: unless 0 <= c <= n and 1 <= k <= n, all whole.
    """
    n, c, k = np.broadcast_arrays(n, c, k)
    whole = (n % 1 == 0) & (c % 1 == 0) & (k % 1 == 0)
    if not np.all(valid := whole & (c >= 0) & (c <= n) & (k >= 1) & (k <= n)):
        wrong = np.argmin(valid)
        n, c, k = n.flat[wrong], c.flat[wrong], k.flat[wrong]
        raise UserError(f"pass@k got n={n}, c={c}, k={k}: accepted are whole numbers, {_accepted(n, c, k)}")
    all_wrong = np.ones(n.shape)
    for tried in range(int(k.max(initial=0))):
        # C(n - c, k) / C(n, k) is the product over tried < k of the share of wrong among the samples left.
        still_wrong = np.maximum(n - c - tried, 0) / np.maximum(n - tried, 1)
        all_wrong = np.where(tried < k, all_wrong * still_wrong, all_wrong)
    return (1 - all_wrong)[()]


def pass_at_k_of(tally: pd.DataFrame, k: int) -> np.ndarray:
    """pass@k of every problem of `counts` that has at least k scorable samples, float64; maybe of none."""
    enough = tally[tally["n"] >= k]
    return np.asarray(pass_at_k(enough["n"], enough["c"], k)) if len(enough) else np.empty(0)


def counts(samples: Path | str | pd.DataFrame) -> pd.DataFrame:
    """How many samples of each problem were correct.

    Args:
        samples: an evaluation's Parquet file, or a frame; one row a sample, with the columns
            `problem_id` and `verdict`. Of a file only these two columns are read.

    Returns:
        One row a problem, indexed by `problem_id` in sorted order, integer columns: `n`, the scorable
        samples, truncated ones among them as wrong answers; `c`, the correct ones; and one column for
        each kind of unscorable verdict, which are in neither.

    Raises:
        UserError: for a verdict that is none of `Verdict`, or a file that is damaged.
    """
    columns = ["problem_id", "verdict"]
    if isinstance(samples, pd.DataFrame):
        table = pa.Table.from_pandas(samples[columns], preserve_index=False)
    else:
        with damage_as_sentence(Path(samples)):
            table = pq.read_table(samples, columns=columns, read_dictionary=columns)
    tally = table.group_by(columns).aggregate([([], "count_all")]).to_pandas()
    tally = tally.astype({name: str for name in columns})
    for verdict in sorted(set(tally["verdict"]) - set(Verdict)):
        raise unknown("verdict", verdict, Verdict)
    tally = tally.pivot(index="problem_id", columns="verdict", values="count_all")
    tally = tally.reindex(columns=list(map(str, Verdict))).fillna(0).astype(int)
    unscorable = tally[sorted(UNSCORABLE)]
    scorable = tally.drop(columns=unscorable.columns)
    result = pd.DataFrame({"n": scorable.sum(axis=1), "c": tally[str(Verdict.CORRECT)]})
    return result.join(unscorable)


def _accepted(n: float, c: float, k: float) -> str:
    """The condition that a refused (n, c, k) breaks, and the nearest value that does not break it."""
    if c < 0 or c > n:
        return f"0 <= c <= n, nearest c={int(np.clip(c, 0, max(n, 0)))}"
    if k < 1 or k > n:
        return "1 <= k <= n, " + (f"nearest k={int(np.clip(k, 1, n))}" if n >= 1 else "so n >= 1")
    return "0 <= c <= n and 1 <= k <= n"
