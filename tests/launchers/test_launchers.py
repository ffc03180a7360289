"""Sweeps through SLURM's and Ray's launchers, really started, with a run that is taken away in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlvr.config import load_config, run_directory
from rlvr.files.run_directory import read_summary
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path

pytestmark = pytest.mark.launchers

TINY = [
    *["scale=smoke", "tracking=local", "benchmark=countdown_3", "data.size=64", "arm=tiny"],
    *["training.steps=6", "training.prompts_per_step=4", "training.mini_batch_prompts=4"],
    *["training.checkpoint_every=1", "evaluation.validation_samples=1", "evaluation.after_training=false"],
]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """metrics.jsonl of two seeds that nothing disturbed."""
    runs = tmp_path_factory.mktemp("unbroken")
    paths = [run(load_config([*TINY, f"runs={runs}", f"seed={seed}"])) for seed in (1, 2)]
    return [(path / "metrics.jsonl").read_text() for path in paths]


@pytest.mark.parametrize(
    ("launcher", "taken_away_by"),
    [
        # what SLURM sends before it preempts; submitit's executor on this machine requeues as SLURM would
        (["hydra/launcher=submitit_local"], signal.SIGUSR2),
        # a node that is lost
        (["hydra/launcher=ray", "+hydra.launcher.init.num_cpus=2"], signal.SIGKILL),
    ],
)
def test_a_run_that_is_taken_away_is_started_again_and_ends_the_same(
    launcher: list[str], taken_away_by: signal.Signals, tmp_path: Path, unbroken: list[str]
):
    directories = [
        run_directory(load_config([*TINY, f"runs={tmp_path}/runs", f"seed={seed}"])) for seed in (1, 2)
    ]
    command = [sys.executable, "-m", "rlvr", "train", "-m", *TINY, "runs=runs", "seed=1,2", *launcher]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1"}
    sweep = subprocess.Popen(command, cwd=tmp_path, env=environment)
    try:
        await_file(checkpoint_path(directories[0], 1), sweep)
        os.kill(int((directories[0] / "lock").read_text().split()[0]), taken_away_by)
        assert sweep.wait(timeout=400) == 0
    finally:
        sweep.kill()
    assert [(directory / "metrics.jsonl").read_text() for directory in directories] == unbroken
    assert [read_summary(directory)["trained_steps"] for directory in directories] == [6, 6]
    starts = [len(json.loads((d / "provenance.json").read_text())["started"]) for d in directories]
    assert starts == [2, 1]


def await_file(path: Path, process: subprocess.Popen, seconds: float = 300) -> None:
    """Wait until a running process has made a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, "the sweep ended by itself"
        assert time.monotonic() < deadline, f"no {path} after {seconds:.0f} s"
        time.sleep(0.05)
