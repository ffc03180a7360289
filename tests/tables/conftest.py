import json
from pathlib import Path

import pandas as pd
import pytest

from rlvr.config.strict import strictly
from rlvr.tables.spec import TableSpec


def _write_run(
    root: Path,
    arm: str,
    seed: int,
    correct: dict[str, list[int]],
    *,
    n: int = 8,
    status: str = "finished",
    timeouts: int = 0,
    scale: str = "laptop",
    dirty: bool = False,
) -> Path:
    """A run directory whose benchmarks have one problem for each number of correct samples of n.

    The first problem of each benchmark has `timeouts` samples on top.
    """
    directory = root / arm / f"seed-{seed}"
    (directory / "evaluation").mkdir(parents=True)
    for benchmark, cs in correct.items():
        verdicts = [["correct"] * c + ["wrong"] * (n - c) for c in cs]
        verdicts[0] = verdicts[0] + ["timeout"] * timeouts
        rows = [(f"{benchmark}/{i}", verdict) for i, list_ in enumerate(verdicts) for verdict in list_]
        samples = pd.DataFrame(rows, columns=["problem_id", "verdict"])
        samples.to_parquet(directory / "evaluation" / f"{benchmark}.parquet")
    summary = {
        "arm": arm,
        "seed": seed,
        "status": status,
        "scale": scale,
        "seconds": {"training": 60, "evaluation": 30},
    }
    (directory / "summary.json").write_text(json.dumps(summary))
    provenance = {"git": {"commit": "0123456789abcdef", "dirty": dirty}}
    (directory / "provenance.json").write_text(json.dumps(provenance))
    return directory


@pytest.fixture
def write_run():
    return _write_run


@pytest.fixture
def layout() -> dict:
    """A table's file, as YAML."""
    return {
        "title": "A table",
        "metrics": ["pass@1", "pass@8"],
        "columns": {"in_domain": ["easy", "hard"], "out_of_domain": ["other"]},
        "labels": {"in_domain": "In-domain", "out_of_domain": "Out-of-domain", "easy": "Easy"},
        "arms": [
            {"name": "base", "label": "Base"},
            {"name": "grpo", "label": "GRPO"},
            {"name": "f-grpo", "label": "F-GRPO", "baseline": "grpo"},
        ],
    }


@pytest.fixture
def spec(layout: dict) -> TableSpec:
    return strictly(TableSpec, layout | {"name": "paper/table9"}, "paper/table9.yaml")


@pytest.fixture
def run_dirs(tmp_path) -> list[Path]:
    """Eight samples a problem. pass@1 is the mean of c / 8; pass@8 the share of problems with any correct."""
    return [
        _write_run(tmp_path, "base", 0, {"easy": [4, 0], "hard": [1, 1], "other": [0, 0]}),
        _write_run(tmp_path, "grpo", 0, {"easy": [8, 0], "hard": [2, 0], "other": [4, 4]}),
        _write_run(tmp_path, "grpo", 1, {"easy": [8, 4], "hard": [2, 0], "other": [4, 0]}),
        _write_run(tmp_path, "f-grpo", 0, {"easy": [8, 4], "hard": [2, 2], "other": [0, 0]}),
    ]
