"""What a run survives, and what it never writes down."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rlvr.config import Config, load_config, run_directory
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.evaluation import sampling
from rlvr.files.run_directory import read_summary
from rlvr.files.run_files import RunFiles
from rlvr.runs.display import fraction_done
from rlvr.runs.run import run
from rlvr.tracking.tracker import Tracker

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=4",
    "training.steps=1",
    "training.checkpoint_every=1",
    "training.prompts_per_step=4",
    "training.mini_batch_prompts=2",
    "evaluation.samples=4",
    "evaluation.k=[1,2,4]",
    "arm=tiny",
]


def tiny(folder: Path, *overrides: str) -> Config:
    return load_config([*TINY, f"runs={folder}", *overrides])


@pytest.mark.slow
def test_a_run_killed_five_times_ends_with_the_same_bits(tmp_path: Path):
    script = Path(__file__).parent / "kill_anywhere.py"
    done = subprocess.run(
        [sys.executable, str(script), "5", "--folder", str(tmp_path), "--seed", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills in" in done.stdout


def test_a_clock_that_is_moved_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = run(tiny(tmp_path / "plain"))
    backwards = itertools.count(2_000_000_000, -3600)
    monkeypatch.setattr(time, "time", lambda: float(next(backwards)))
    config = tiny(tmp_path / "moved")
    moved = run(config)

    assert (moved / "metrics.jsonl").read_bytes() == (plain / "metrics.jsonl").read_bytes()
    summary = json.loads((moved / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert min(summary["seconds"].values()) > 0
    # a display that was started with the clock later than any line the run wrote
    assert fraction_done(config, moved, {}) == ("done", 1.0)
    assert fraction_done(config, moved, RunFiles(moved).progress) == ("done before", 1.0)


@pytest.mark.parametrize("kept", [0, 1, 100, -1], ids=["empty", "a byte", "the start", "all but a byte"])
def test_samples_that_were_cut_short_are_taken_again(tmp_path: Path, kept: int):
    """Whether a shard or a whole benchmark."""
    file = tmp_path / "samples.parquet"
    problems = [Problem(id, "test", (), "", "expression") for id in ("a", "b")]
    completion = Completion([1], [0.0], "1", "stop", 0)
    groups = [Group(problem, [1], [completion], [Verdict.CORRECT]) for problem in problems]
    sampling.write_samples(groups, file, {"seed": 1})
    assert sampling.is_whole(file, {"seed": 1}, problems, samples=1)
    assert not sampling.is_whole(file, {"seed": 2}, problems, samples=1)
    assert not sampling.is_whole(file, {"seed": 1}, problems, samples=2)
    assert not sampling.is_whole(file, {"seed": 1}, problems[:1], samples=1)
    file.write_bytes(file.read_bytes()[:kept])
    assert not sampling.is_whole(file, {"seed": 1}, problems, samples=1)


def test_no_bit_of_a_file_of_samples_flips_unseen(tmp_path: Path):
    """A shard has no digest in a summary yet: what is taken for whole has the same samples."""
    file = tmp_path / "samples.parquet"
    problems = [Problem(id, "test", (), "", "expression") for id in ("a", "b")]
    texts = ["1 + 2", "3 * 4"]
    groups = [
        Group(problem, [1], [Completion([1], [0.0], text, "stop", 0)], [Verdict.CORRECT])
        for problem, text in zip(problems, texts, strict=True)
    ]
    sampling.write_samples(groups, file, {})
    content, table = file.read_bytes(), pq.read_table(file)
    for place in range(len(content)):
        harmed = bytearray(content)
        harmed[place] ^= 4
        file.write_bytes(harmed)
        if sampling.is_whole(file, {}, problems, samples=1):
            assert pq.read_table(file).equals(table), place


def test_a_benchmark_cut_short_is_sampled_again(tmp_path: Path):
    config = tiny(tmp_path)
    path = run(config)
    file = path / "evaluation" / "countdown_3.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    summary = read_summary(path)
    (path / "summary.json").write_text(json.dumps(summary | {"status": "trained"}))
    run(config)
    assert file.read_bytes() == whole


def test_w_and_b_is_told_of_a_step_after_it_is_noted(tmp_path: Path):
    """So a kill between the two never gives W&B a step twice."""
    tracker = Tracker(tiny(tmp_path, "tracking=wandb", "tracking.mode=offline"), tmp_path)
    noted = []

    class Recorder:
        disabled = False

        def log(self, _: dict) -> None:
            noted.append((tmp_path / "wandb_step").read_text())

    tracker._sinks["wandb"]._run = Recorder()
    for step in (1, 2, 2):
        tracker.log(step, {"reward/mean": 0.0})
    assert noted == ["1", "2"]


@pytest.mark.slow
def test_a_sweep_that_is_terminated_takes_its_runs_with_it(tmp_path: Path):
    longer = [override.replace("training.steps=1", "training.steps=100000") for override in TINY]
    overrides = [*longer, f"runs={tmp_path}"]
    directories = [run_directory(load_config([*overrides, f"seed={seed}"])) for seed in (1, 2)]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "rlvr", "train", "-m", *overrides, "seed=1,2"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not all((directory / "metrics.jsonl").exists() for directory in directories):
        assert sweep.poll() is None, sweep.stderr.read()
        time.sleep(0.05)
    processes = [int((directory / "lock").read_text().split()[0]) for directory in directories]
    sweep.terminate()
    assert "the same command goes on from there" in sweep.communicate(timeout=60)[1]
    assert sweep.returncode == 130
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


@pytest.mark.slow
def test_keys_and_tokens_are_never_written_down(tmp_path: Path):
    secrets = {
        "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
        "HF_TOKEN": "hf_ThisIsNoTokenButLooksLikeOneToAll",
        "HUGGING_FACE_HUB_TOKEN": "hf_AnotherThatIsNoneOfAnybody",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    }
    tracked = [override.replace("tracking=local", "tracking=wandb") for override in TINY]
    overrides = [*tracked, f"runs={tmp_path}", "tracking.mode=offline"]
    done = subprocess.run(
        [sys.executable, "-m", "rlvr", "train", *overrides],
        env={**os.environ, **secrets, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"config.yaml", "provenance.json", "metrics.jsonl"} <= {file.name for file in files}
    assert any(file.suffix == ".wandb" for file in files)
    written = {str(file): file.read_bytes() for file in files} | {"output": done.stdout + done.stderr}
    for name, secret in secrets.items():
        assert [place for place, content in written.items() if secret.encode() in content] == [], name
