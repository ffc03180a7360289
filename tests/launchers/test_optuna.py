"""A search by Optuna's own sweeper, with a study that is gone on with."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlvr.files import step_lines

pytestmark = pytest.mark.launchers
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper.optuna_sweeper", reason="pip install 'rlvr[optuna]'")

TINY = [
    *[
        "scale=smoke",
        "tracking=local",
        "benchmark=countdown_3",
        "data.size=32",
        "training.checkpoint_every=1",
    ],
    *["training.steps=2", "training.prompts_per_step=4", "training.mini_batch_prompts=4"],
    *["evaluation.validation_samples=4", "evaluation.after_training=false"],
]


def test_optuna_maximises_the_validation_of_its_runs(tmp_path: Path):
    command = [
        *[sys.executable, "-m", "rlvr", "train", "-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2"],
        *["hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.study_name=mine", "runs=runs", *TINY],
        *["training.learning_rate=tag(log,interval(1e-9,1e-1))", "algorithm=choice(grpo,dapo)"],
    ]
    for trials in (2, 4):
        subprocess.run(command, cwd=tmp_path, check=True)
        best = [
            max(line["in_domain/pass@1"] for line in step_lines.read(file) if line["step"] > 0)
            for file in tmp_path.rglob("validation.jsonl")
        ]
        assert len(best) == trials
        found = yaml.safe_load((tmp_path / "runs/optimization_results.yaml").read_text())
        assert found["best_value"] == max(best)
        assert found["best_params"].keys() == {"++training.learning_rate", "algorithm"}
