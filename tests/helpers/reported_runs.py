"""Run directories with known samples."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from rlvr.config import load_config, run_directory, to_yaml
from rlvr.files import step_lines

# not of the benchmark, so that their ids stand for their prompts
EASY, HARD = "countdown/1-2=3[+-*]", "countdown/2-5-9=60[+-*]"
HOSTILE = (
    "</script><script>window.hacked = 1</script>"
    '<img src="http://203.0.113.1/x.png" onerror="window.hacked = 1">\u202eabc\u2028'
)


def write_run(
    runs: Path,
    arm: str,
    samples: Mapping[str, Sequence[tuple[str, str]]],
    *,
    seed: int = 1,
    experiment: str = "sweep",
    steps: int = 4,
    status: str = "finished",
    seconds: float = 90.0,
    overrides: Sequence[str] = (),
) -> Path:
    """A run that left `samples`: (verdict, text) by problem id, of the benchmark countdown_3."""
    config = load_config(
        [
            "scale=smoke",
            "benchmark=countdown_3",
            f"experiment={experiment}",
            f"arm='{arm}'",
            f"runs={runs}",
            f"seed={seed}",
            f"training.steps={steps}",
            "evaluation.k=[1,2,4]",
            *overrides,
        ]
    )
    folder = run_directory(config)
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(to_yaml(config))
    rows = [(problem, verdict, text) for problem, of in samples.items() for verdict, text in of]
    table = pd.DataFrame(rows, columns=["problem_id", "verdict", "text"])
    table.to_parquet(folder / "evaluation" / "countdown_3.parquet")
    summary = {
        "arm": arm,
        "seed": seed,
        "scale": "smoke",
        "status": status,
        "trained_steps": steps,
        "checkpoint_step": steps,
        "tokens": {"sampled": 12_345.0 if steps else 0.0},
        "flops": {"generated": 1.5e12, "trained": 0.5e12},
        "seconds": {"training": seconds, "evaluation": 30.0},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    provenance = {
        "started": ["2026-01-02T03:04:05+00:00"],
        "command": "rlvr train -m seed=1,2",
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "python": "3.11.7",
        "packages": {"torch": "2.13.0"},
        "hardware": {"system": "Linux", "cpu_cores": 2, "gpus": []},
        "data": {"countdown": "abcd"},
    }
    (folder / "provenance.json").write_text(json.dumps(provenance))
    for step in range(1, steps + 1):
        success = 0.25 * step / steps
        step_lines.append(folder / "metrics.jsonl", step, {"reward/success_rate": success})
        step_lines.append(folder / "timing.jsonl", step, {"seconds/sampling": 10.0, "seconds/update": 5.0})
    for step in (0, steps):
        step_lines.append(folder / "validation.jsonl", step, {"in_domain/pass@1": 0.1 * step})
    return folder
