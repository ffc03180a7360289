from pathlib import Path

import pytest
from reported_runs import EASY, HARD, HOSTILE, write_run

from rlvr.files import step_lines


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The untrained policy, and two seeds that forgot the hard problem and a way of the easy one."""
    runs = tmp_path_factory.mktemp("runs")
    right, wrong = "correct", "wrong"
    write_run(
        runs,
        "base",
        {
            EASY: [(right, "1 + 2"), (right, "1+2"), (right, "2+1"), (wrong, HOSTILE)],
            HARD: [(right, "(2+5)*9-3"), (wrong, "2"), (wrong, "2"), (wrong, "5")],
        },
        steps=0,
    )
    for seed in (1, 2):
        folder = write_run(
            runs,
            "grpo",
            {
                EASY: [(right, "1+2")] * 4,
                HARD: [(wrong, "2"), (wrong, "3"), (wrong, "4"), (wrong, "4"), ("timeout", "9")],
            },
            seed=seed,
        )
        group = {
            "problem": EASY,
            "prompt": f"make 3 from 1 2 {HOSTILE}",
            "focal_weight": 0.5,
            "completions": [
                {
                    "verdict": right,
                    "reward": 1.0,
                    "advantage": 0.7,
                    "tokens": ["1", "+", "2"],
                    "weights": [0.5, 0.5, 1.0] if seed == 1 else [1.0, 1.0, 1.0],
                },
                {
                    "verdict": wrong,
                    "reward": 0.0,
                    "advantage": -0.7,
                    "tokens": ["1", "+", HOSTILE],
                    "weights": [0.5, 0.5, 1.0] if seed == 1 else [1.0, 1.0, 1.0],
                },
                {"verdict": "timeout", "reward": None, "advantage": None, "tokens": ["1"], "weights": None},
            ],
        }
        step_lines.append(folder / "rollouts.jsonl", 4, {"groups": [group]})
    return runs / "sweep"
