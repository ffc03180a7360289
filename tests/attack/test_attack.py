"""The attack, a share of each of its sections; `python -m tests.attack` is the whole of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARES = {
    "answers": 1000,
    "settings": 40,
    "data": 203,
    "models": 20,
    "strangers": 15,
    "finished": 15,
    "half-done": 15,
}


def output_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("section", SHARES)
def test_a_share_of_the_attack_finds_nothing(section: str) -> None:
    said = output_of("-m", "tests.attack", section, "--about", str(SHARES[section]))
    tried, faults = map(int, re.search(r"(\d+) tried, (\d+) faults", said).groups())
    assert tried >= SHARES[section]
    assert faults == 0


@pytest.mark.slow
def test_a_run_killed_anywhere_loses_nothing() -> None:
    assert "4 kills in" in output_of("tests/runs/kill_anywhere.py", "4")
