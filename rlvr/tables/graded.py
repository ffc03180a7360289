"""Graded rewards of the evaluation's samples as a part of a table, where runs have a reward of their own."""

import pandas as pd

from rlvr.evaluation.intervals import bootstrap_interval
from rlvr.evaluation.results import give_or_take, mean_rewards_of
from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import by_arm
from rlvr.tables.part import Panel, Part
from rlvr.tables.spec import TableSpec

COLUMNS = ["arm", "benchmark", "seeds", "value", "low", "high"]
NOTE = (
    "Mean reward: what the arm's own reward function says of its samples, ± as above. Arms with other "
    "functions have other scales."
)


def part(spec: TableSpec, runs: list[RunFiles]) -> Part:
    """Mean rewards, where arms have a reward function of their own."""
    if not len(rewards := mean_rewards(spec, runs)):
        return Part()
    return Part([reward_panel(spec, rewards)], [NOTE], numbers={"-reward": rewards})


def mean_rewards(spec: TableSpec, runs: list[RunFiles]) -> pd.DataFrame:
    """`COLUMNS`, one row an arm and benchmark whose samples all have rewards; empty if there is none.

    `value` is the mean over problems and seeds of a problem's mean reward, with its 95 % interval.
    """
    rows = []
    for arm, of_arm in by_arm(spec, runs).items():
        for benchmark in (name for names in spec.columns.values() for name in names):
            files = [run.samples(benchmark) for run in of_arm]
            seeds = [mean_rewards_of(file) for file in files if file]
            if seeds and len(seeds) == len(of_arm):
                problems = pd.concat(seeds, axis=1).dropna()
                if len(problems):
                    interval = bootstrap_interval(problems.to_numpy().T)
                    rows.append([arm, benchmark, len(seeds), *interval])
    return pd.DataFrame(rows, columns=COLUMNS)


def reward_panel(spec: TableSpec, rewards: pd.DataFrame) -> Panel:
    """A row an arm, a column a benchmark."""
    names = list(dict.fromkeys(rewards["benchmark"]))
    cells = {(row.arm, row.benchmark): row for row in rewards.itertuples(index=False)}
    rows = []
    for arm, label in spec.arm_labels.items():
        of_arm = [cells.get((arm, name)) for name in names]
        if known := [cell for cell in of_arm if cell]:
            halves = [None if c is None else (c.high - c.low) / 2 for c in of_arm]
            texts = [
                "–" if half is None else f"{c.value:.3f}{give_or_take(half, f'{half:.3f}')}"
                for c, half in zip(of_arm, halves, strict=True)
            ]
            rows.append([label, str(max(cell.seeds for cell in known)), *texts])
    return Panel("Mean reward", ["", "seeds", *map(spec.label, names)], rows)
