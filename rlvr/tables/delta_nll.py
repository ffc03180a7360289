"""Delta NLL of rare correct answers as a part of a table: see `rlvr.evaluation.rare`."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.errors import UserError
from rlvr.evaluation.intervals import (
    difference_freedom,
    percentile_interval,
    resampled_means,
    resampling_weights,
)
from rlvr.evaluation.results import give_or_take
from rlvr.files.run_files import ANSWERS, RunFiles, damage_as_sentence
from rlvr.tables.collect import BOOTSTRAP_ITERATIONS, DIFFERENCES, by_arm
from rlvr.tables.part import Panel, Part
from rlvr.tables.spec import DELTA_NLL, RARE, TableSpec

COLUMNS = ["arm", "seeds", "answers", "problems", "value", "low", "high"]
NOTE = (
    "ΔNLL: how much less likely a fixed set of rare correct answers of the initial policy has become, in "
    "nats a token; ± as above, over the problems of the set and training seeds."
)


def part(spec: TableSpec, runs: list[RunFiles]) -> tuple[Part, list[pd.DataFrame]]:
    """Delta NLL where runs measured it, and its differences of arms: one frame or none."""
    frame, pairs = collect_rare(spec, runs)
    if frame.empty:
        return Part(), []
    return Part([rare_panel(spec, frame, pairs)], [NOTE], numbers={"-rare": frame}), [pairs]


def collect_rare(spec: TableSpec, runs: list[RunFiles]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Delta NLL of every arm all of whose runs have it, and the differences of all of these arms.

    Problems are resampled with all of their answers, so a problem weighs as much as it has answers.

    Returns:
        `COLUMNS`, one row an arm, `value` with its 95 % interval in nats a token; and `DIFFERENCES`, paired
        by problem, with the metric `DELTA_NLL` and the group `RARE`. Both are empty if no arm has it.

    Raises:
        UserError: for runs that were asked for other answers than each other.
    """
    answers, seeds = _answers(spec, runs)
    rows, replicates, seed_means = [], {}, {}
    for name, tables in answers.items():
        increase = [(table["nll"] - table["initial_nll"]).groupby(table["problem_id"]) for table in tables]
        counts = increase[0].size().to_numpy()
        problem_weights = counts * resampling_weights(len(counts), BOOTSTRAP_ITERATIONS, [0, *RARE.encode()])
        problem_weights /= problem_weights.sum(axis=1, keepdims=True)
        seed_weights = resampling_weights(len(tables), BOOTSTRAP_ITERATIONS, [0, *name.encode()])
        means = np.stack([by_problem.mean().to_numpy() for by_problem in increase])
        replicates[name] = resampled_means(means, problem_weights, seed_weights)
        seed_means[name] = (means * counts).sum(axis=1) / counts.sum()
        value = float(seed_means[name].mean())
        bounds = percentile_interval(replicates[name])
        rows.append([name, len(tables), int(counts.sum()), len(counts), value, *bounds])
    frame = pd.DataFrame(rows, columns=COLUMNS)
    values = frame.set_index("arm")["value"]
    pairs = []
    for arm, against in combinations(answers, 2):
        difference = replicates[arm] - replicates[against]
        problems = answers[arm][0]["problem_id"].nunique()
        freedom = difference_freedom(difference.var(), seed_means[arm], seed_means[against], problems)
        place = (DELTA_NLL, RARE, arm, against, values[arm] - values[against])
        pairs.append([*place, *percentile_interval(difference), float(freedom), seeds[arm], seeds[against]])
    return frame, pd.DataFrame(pairs, columns=DIFFERENCES)


def _answers(spec: TableSpec, runs: list[RunFiles]) -> tuple[dict[str, list[pd.DataFrame]], dict[str, str]]:
    """The answers of each run of each arm that has them in all, and the arm's seeds, as "1 2 3"."""
    answers: dict[str, list[pd.DataFrame]] = {}
    seeds: dict[str, str] = {}
    for name, arm_runs in by_arm(spec, runs).items():
        files = [run.samples(ANSWERS) for run in arm_runs]
        if files and all(files):
            answers[name] = [_read(file) for file in files if file]
            seeds[name] = " ".join(str(run.seed) for run in arm_runs)
    same = ["problem_id", "initial_nll"]
    first = next(iter(answers.values()), [pd.DataFrame(columns=same)])[0]
    for name, tables in answers.items():
        if not all(table[same].equals(first[same]) for table in tables):
            raise UserError(
                f"arm {name!r} was asked for other rare answers than {next(iter(answers))!r}: accepted "
                "are runs from the same initial policy, data and evaluation.rare"
            )
    return answers, seeds


def _read(file: Path) -> pd.DataFrame:
    with damage_as_sentence(file):
        return pd.read_parquet(file)


def rare_panel(spec: TableSpec, frame: pd.DataFrame, pairs: pd.DataFrame) -> Panel:
    """A row an arm: its Delta NLL, and the difference to its baseline."""
    rows = []
    measured = frame.set_index("arm")
    compared = pairs.set_index(["arm", "against"])
    for arm in spec.arms:
        name, baseline = arm.name, arm.baseline
        if name not in measured.index:
            rows.append([arm.label, "0", "not run", "–"])
            continue
        difference = "–"
        for pair, sign in (((name, baseline), 1), ((baseline, name), -1)):
            if pair in compared.index:
                row = compared.loc[pair]
                difference = _nats(sign * row.difference, row.low, row.high)
        row = measured.loc[name]
        rows.append([arm.label, f"{row.seeds:.0f}", _nats(row.value, row.low, row.high), difference])
    answers, problems = int(frame["answers"].iloc[0]), int(frame["problems"].iloc[0])
    title = f"ΔNLL of {answers:,} rare correct answers to {problems:,} problems, nats a token"
    return Panel(title, ["", "seeds", "ΔNLL", "difference to baseline"], rows)


def _nats(value: float, low: float, high: float) -> str:
    half_width = (high - low) / 2
    return f"{value:+z.3f}{give_or_take(half_width, f'{half_width:.3f}')}".replace("-", "−")
