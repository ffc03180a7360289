"""The main command, end to end on the real path, tiny."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

TINY = [
    "table=fgrpo/table1",
    "scale=smoke",
    "tracking=local",
    "training.steps=2",
    "training.checkpoint_every=1",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    *(f"benchmark.tasks.countdown_{name}.size=4" for name in ("3", "4", "5", "add", "large")),
    "benchmark.tasks.chain_sum.size=4",
    "benchmark.tasks.gcd.size=4",
]


def reproduce(results: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "rlvr", "reproduce", *TINY, f"results={results}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def table(results: Path) -> pd.DataFrame:
    return pd.read_csv(results / "tables" / "fgrpo-table1-smoke.csv")


@pytest.mark.slow
def test_a_killed_reproduction_ends_with_the_same_table(tmp_path: Path):
    whole = reproduce(tmp_path / "whole")
    printed, said = whole.communicate()
    assert whole.returncode == 0, said
    assert "F-GRPO" in printed

    killed = reproduce(tmp_path / "killed", start_new_session=True)
    arm = tmp_path / "killed" / "runs" / "fgrpo" / "table1" / "smoke" / "grpo"
    while not (arm / "seed-1" / "checkpoints" / "step-000001").exists() and killed.poll() is None:
        time.sleep(0.01)
    second = reproduce(tmp_path / "killed")
    refusal = second.communicate()[1]
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert second.returncode == 2
    assert f"is being reproduced by process {killed.pid}" in refusal
    assert not (tmp_path / "killed" / "tables").exists()

    resumed = reproduce(tmp_path / "killed")
    assert resumed.communicate()[0].startswith("# GRPO")
    assert resumed.returncode == 0
    pd.testing.assert_frame_equal(table(tmp_path / "killed"), table(tmp_path / "whole"))

    again = reproduce(tmp_path / "killed")
    assert "7 of them finished" in again.communicate()[1]
    figures = [file.name for file in (tmp_path / "whole" / "figures").iterdir()]
    assert {Path(name).suffix for name in figures} == {".png", ".svg"}
