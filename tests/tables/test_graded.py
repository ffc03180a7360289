"""Mean rewards of arms that have a reward function, beside pass@k."""

from pathlib import Path

import pandas as pd
import pytest
from reported_runs import EASY, HARD, write_run
from table_runs import page_of

from rlvr.tables.spec import Arm, TableSpec

SPEC = TableSpec(
    name="sweep/smoke",
    title="Rewards",
    metrics=["pass@1"],
    columns={"in_domain": ["countdown_3"]},
    arms=[Arm("grpo"), Arm("short", label="Short", baseline="grpo")],
    figures=[],
)
SAMPLES = {EASY: [("correct", "a")] * 2 + [("wrong", "b")] * 2, HARD: [("wrong", "b")] * 4}


def with_rewards(run: Path, rewards: list[float | None]) -> Path:
    file = run / "evaluation" / "countdown_3.parquet"
    pd.read_parquet(file).assign(reward=rewards).to_parquet(file)
    return run


def test_a_table_has_the_mean_reward_of_arms_that_have_one(tmp_path: Path):
    """Problems weigh alike: the easy one's samples have 1, 1, 0.2 and none, the hard one's 0."""
    runs = [
        write_run(tmp_path, "grpo", SAMPLES),
        with_rewards(write_run(tmp_path, "short", SAMPLES), [1.0, 1.0, 0.2, None, 0, 0, 0, 0]),
    ]
    page = page_of(SPEC, runs)
    (panel,) = [panel for panel in page.panels if panel.title == "Mean reward"]
    value = (2.2 / 3 + 0) / 2
    assert panel.header == ["", "seeds", "countdown_3"]
    assert [row[:2] for row in panel.rows] == [["Short", "1"]]
    assert panel.rows[0][2].startswith(f"{value:.3f} ± ")
    (row,) = page.numbers["-reward"].itertuples()
    assert (row.arm, row.benchmark, row.value) == ("short", "countdown_3", pytest.approx(value))
    assert row.low < value < row.high


def test_a_table_without_rewards_is_as_it_was(tmp_path: Path):
    page = page_of(SPEC, [write_run(tmp_path, "grpo", SAMPLES), write_run(tmp_path, "short", SAMPLES)])
    assert "-reward" not in page.numbers
    assert not [panel for panel in page.panels if panel.title == "Mean reward"]
