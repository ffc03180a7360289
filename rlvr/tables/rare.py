"""Delta NLL of rare correct answers as a part of a table: see `rlvr.evaluation.rare`."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from rlvr.errors import UserError
from rlvr.evaluation.intervals import percentile_interval, resampled_means, resampling_weights
from rlvr.evaluation.rare import ANSWERS
from rlvr.tables.collect import BOOTSTRAP_ITERATIONS, DIFFERENCES
from rlvr.tables.render import Panel
from rlvr.tables.runs import Run
from rlvr.tables.spec import DELTA_NLL, RARE, arm_label

COLUMNS = ["arm", "seeds", "answers", "problems", "value", "low", "high"]
NOTE = (
    "ΔNLL: how much less likely a fixed set of rare correct answers of the initial policy has become, in "
    "nats a token; ± as above, over the problems of the set and training seeds."
)


def collect_rare(spec: dict[str, Any], runs: list[Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Delta NLL of every arm all of whose runs have it, and the differences of all of these arms.

    Problems are resampled with all of their answers, so a problem weighs as much as it has answers.

    Returns:
        `COLUMNS`, one row an arm, `value` with its 95 % interval in nats a token; and `DIFFERENCES`, paired
        by problem, with the metric `DELTA_NLL` and the group `RARE`. Both are empty if no arm has it.

    Raises:
        UserError: for runs that were asked for other answers than each other.
    """
    answers: dict[str, list[pd.DataFrame]] = {}
    seeds: dict[str, str] = {}
    for name in (arm["name"] for arm in spec["arms"]):
        of_arm = [run for run in runs if run.arm == name]
        files = [run.directory / "evaluation" / f"{ANSWERS}.parquet" for run in of_arm]
        if files and all(file.exists() for file in files):
            answers[name] = [pd.read_parquet(file) for file in files]
            seeds[name] = " ".join(str(run.seed) for run in of_arm)
    first = next(iter(answers.values()), [None])[0]
    for name, tables in answers.items():
        for table in tables:
            if not table[["problem_id", "initial_nll"]].equals(first[["problem_id", "initial_nll"]]):
                raise UserError(
                    f"arm {name!r} was asked for other rare answers than {next(iter(answers))!r}: accepted "
                    "are runs from the same initial policy, data and evaluation.rare"
                )
    rows, replicates = [], {}
    for name, tables in answers.items():
        increase = [(table["nll"] - table["initial_nll"]).groupby(table["problem_id"]) for table in tables]
        counts = increase[0].size().to_numpy()
        problem_weights = counts * resampling_weights(len(counts), BOOTSTRAP_ITERATIONS, [0, *RARE.encode()])
        problem_weights /= problem_weights.sum(axis=1, keepdims=True)
        seed_weights = resampling_weights(len(tables), BOOTSTRAP_ITERATIONS, [0, *name.encode()])
        means = np.stack([of_problem.mean().to_numpy() for of_problem in increase])
        replicates[name] = resampled_means(means, problem_weights, seed_weights)
        value = float((means * counts).sum() / (counts.sum() * len(tables)))
        bounds = percentile_interval(replicates[name])
        rows.append([name, len(tables), int(counts.sum()), len(counts), value, *bounds])
    frame = pd.DataFrame(rows, columns=COLUMNS)
    values = frame.set_index("arm")["value"]
    pairs = [
        [
            *(DELTA_NLL, RARE, arm, against, values[arm] - values[against]),
            *percentile_interval(replicates[arm] - replicates[against]),
            *(seeds[arm], seeds[against]),
        ]
        for arm, against in combinations(answers, 2)
    ]
    return frame, pd.DataFrame(pairs, columns=DIFFERENCES)


def rare_panel(spec: dict[str, Any], frame: pd.DataFrame, pairs: pd.DataFrame) -> Panel:
    """A row an arm: its Delta NLL, and the difference to its baseline."""
    rows = []
    measured = frame.set_index("arm")
    of_pair = pairs.set_index(["arm", "against"])
    for arm in spec["arms"]:
        name, baseline = arm["name"], arm.get("baseline")
        if name not in measured.index:
            rows.append([arm_label(arm), "0", "not run", "–"])
            continue
        difference = "–"
        for pair, sign in (((name, baseline), 1), ((baseline, name), -1)):
            if pair in of_pair.index:
                row = of_pair.loc[pair]
                difference = _nats(sign * row.difference, row.low, row.high)
        row = measured.loc[name]
        rows.append([arm_label(arm), f"{row.seeds:.0f}", _nats(row.value, row.low, row.high), difference])
    answers, problems = int(frame["answers"].iloc[0]), int(frame["problems"].iloc[0])
    title = f"ΔNLL of {answers:,} rare correct answers to {problems:,} problems, nats a token"
    return Panel(title, ["", "seeds", "ΔNLL", "difference to baseline"], rows)


def _nats(value: float, low: float, high: float) -> str:
    return f"{value:+z.3f} ± {(high - low) / 2:.3f}".replace("-", "−")
