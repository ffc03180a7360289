"""The page of λ-GRPO's toy tree: the target's measured frequency beside the published one."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from rlvr.files.atomic import write_whole
from rlvr.tables.published import load_published
from rlvr.theory.toy_tree import METHODS, simulate_toy_tree


def write_toy_tree(results: Path) -> Path:
    """The whole experiment and its page; returns the page."""
    page = results / "tables" / "lambda_grpo-toy_tree.md"
    write_whole(page, describe(simulate_toy_tree(results / "theory" / "toy_tree.csv")))
    return page


def describe(runs: pd.DataFrame) -> str:
    """The page: mean frequency over seeds with its 95 % interval (Student's t), beside the published one."""
    published = load_published("lambda_grpo.csv").query("table == 'toy_tree'")
    printed = {(row.setting, row.method): row.value for row in published.itertuples()}
    lines = [
        "# λ-GRPO's toy tree: how often the target is drawn",
        "",
        "Share of the target among the rollouts of the last 50 of 250 steps: mean over five seeds ± half of "
        "its 95 % interval (Student's t); a difference is paired by seed here, and by Welch's t on "
        "[the page of claims](../lambda_grpo.md). A GPT-2 of two layers and width 64 from random weights, "
        "Adam; the published numbers are a GPT-2-small's at learning rate 1e-5, without intervals. "
        "`rlvr simulate what=toy_tree` makes this page and [every seed](../theory/toy_tree.csv).",
        "",
        "| learning rate | n | r_neg | GRPO | λ-GRPO | difference | published GRPO | published λ-GRPO |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *_rows(runs, printed)]) + "\n"


def _rows(runs: pd.DataFrame, printed: dict[tuple[str, str], str]) -> Iterator[str]:
    for (rate, n, r_neg), rows in runs.groupby(["learning_rate", "n", "r_neg"], sort=False):
        frequency = rows.pivot(index="seed", columns="method", values="target_frequency")
        columns = [frequency["grpo"], frequency["lambda"], frequency["lambda"] - frequency["grpo"]]
        texts = [_interval(column.to_numpy(), "+" if i == 2 else "") for i, column in enumerate(columns)]
        beside = [printed[f"n={n};r_neg={r_neg}", name] for name in METHODS.values()]
        yield "| " + " | ".join([f"{rate:g}", str(n), f"{r_neg}", *texts, *beside]) + " |"


def _interval(values: np.ndarray, sign: str) -> str:
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return f"{values.mean():{sign}z.3f} ± {half:.3f}"
