"""Kill a run with SIGKILL at random moments, go on with it, and hold what it leaves against an unbroken one.

    python tests/runs/kill_anywhere.py 50 [--seed 0] [--folder somewhere]

A moment is a random stage (sampling, verification, update, writing a checkpoint, ...) and a random time in
it. Killed and resumed runs must end with the same bits in their metrics, weights and evaluation samples,
with the same results that tables are made of, and with one W&B run that has every step and validation once.
Runs are forked from this process, which has imported all they need, so that a start takes no time.
"""

import argparse
import itertools
import json
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import torch
import wandb  # noqa: F401 (imported before the runs are forked)
from wandb_file import history, read_records

from rlvr.config import load_config, run_directory
from rlvr.policy.policy import load_policy
from rlvr.runs.run import run
from rlvr.training.distributed import ranks as distributed

OVERRIDES = [
    "scale=smoke",
    "tracking=wandb",
    "tracking.mode=offline",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=6",
    "training.steps=5",
    "training.checkpoint_every=2",
    "checkpoint.keep=1",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    "training.learning_rate=1e-3",
    "evaluation.samples=8",
    "evaluation.k=[1,2,4,8]",
    "evaluation.samples_per_shard=16",
    "arm=tiny",
]


class Stages:
    """In the place of a watchdog: leaves the current stage where this process can read it after a kill."""

    def __init__(self, board: mmap.mmap, timeline: Path | None):
        self._board, self._timeline = board, timeline
        self._entered: list[tuple[str, float]] = []
        self._stage = ""
        self.stage = "starting"

    @property
    def stage(self) -> str:
        return self._stage

    @stage.setter
    def stage(self, stage: str) -> None:
        self._stage = stage
        self._board[:64] = stage.encode().ljust(64, b"\0")
        self._entered.append((stage, time.monotonic()))
        if self._timeline:
            self._timeline.write_text(json.dumps(self._entered))


def start(folder: Path, board: mmap.mmap, timeline: Path | None = None) -> int:
    """Fork a process that does what is left of the run in `folder`; returns its id."""
    board[:64] = bytes(64)
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    status = 1
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        distributed._watchdog = Stages(board, timeline)
        run(load_config([*OVERRIDES, f"runs={folder}"]))
        status = 0
    finally:
        os._exit(status)


def stage_of(board: mmap.mmap) -> str:
    return board[:64].rstrip(b"\0").decode()


def ended(pid: int) -> bool:
    """Whether a run is done; one that failed fails this check."""
    done, status = os.waitpid(pid, os.WNOHANG)
    if done and status != 0:
        raise SystemExit(f"a run ended with status {status}")
    return bool(done)


def kill_at(pid: int, board: mmap.mmap, stage: str, times: int, seconds: float) -> str | None:
    """Kill a run some time after it enters a stage for the n-th time; the stage it was at, if it lived."""
    before = ""
    while times:
        now = stage_of(board)
        times -= now == stage != before
        before = now
        if ended(pid):
            return None
        time.sleep(0.00005)
    if seconds:
        time.sleep(seconds)
    if ended(pid):
        return None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return stage_of(board)


def left_behind(folder: Path) -> dict[str, bytes | dict]:
    """What has to be the same: bits of metrics, weights and samples, and the numbers tables are made of."""
    path = run_directory(load_config([*OVERRIDES, f"runs={folder}"]))
    names = ["metrics.jsonl", "validation.jsonl", "accuracy.jsonl", "rollouts.jsonl"]
    files = [path / name for name in names] + sorted((path / "evaluation").rglob("*"))
    files += sorted(path.glob("checkpoints/*/*.safetensors"))
    summary = json.loads((path / "summary.json").read_text())
    results = {key: summary[key] for key in ("evaluation", "checkpoint_step", "tokens", "flops", "status")}
    return {str(file.relative_to(path)): file.read_bytes() for file in files} | {"results": results}


def wandb_steps(folder: Path) -> list[tuple[int, str]]:
    """Steps and validations that W&B was sent by all starts of a run, in order, as one W&B run."""
    path = run_directory(load_config([*OVERRIDES, f"runs={folder}"]))
    records = [r for file in sorted(path.glob("wandb/offline-run-*/*.wandb")) for r in read_records(file)]
    ids = {record.run.run_id for record in records if record.HasField("run")}
    assert ids == {(path / "wandb_id").read_text()}, f"W&B runs {ids}"
    told = ("reward/mean", "validation/in_domain/pass@1")
    return [(row["step"], name) for row in history(records) for name in told if name in row]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load_policy("embedded")
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="kill-anywhere-"))
    board, rng = mmap.mmap(-1, 64), random.Random(arguments.seed)

    timeline = folder / "timeline.json"
    folder.mkdir(parents=True, exist_ok=True)
    _, status = os.waitpid(start(folder / "whole", board, timeline), 0)
    assert status == 0, "the unbroken run failed"
    expected = left_behind(folder / "whole")
    entered = json.loads(timeline.read_text())
    seconds: dict[str, float] = {}
    for (stage, begin), (_, end) in itertools.pairwise(entered):
        seconds[stage] = max(seconds.get(stage, 0.0), end - begin)

    killed: Counter[str] = Counter()
    runs = 0
    while killed.total() < arguments.kills:
        broken = folder / f"broken-{runs}"
        kills_before = killed.total()
        pid = start(broken, board)
        while True:
            stage = rng.choice(sorted(seconds))
            # of the n-th time that this start comes there; what is left of a run may be less. Every second
            # time at once, since a stage of a millisecond is over before a sleep is
            later = rng.choice([0.0, rng.uniform(0, seconds[stage])])
            at = kill_at(pid, board, stage, rng.randint(1, 2), later)
            if at is None:
                break
            killed[at] += 1
            pid = start(broken, board)
            if killed.total() == arguments.kills:
                while not ended(pid):
                    time.sleep(0.05)
                break
        runs += 1
        found, steps = left_behind(broken), wandb_steps(broken)
        different = [name for name in expected | found if expected.get(name) != found.get(name)]
        assert not different, f"{broken} differs from the unbroken run in {different}"
        assert steps == wandb_steps(folder / "whole"), f"{broken}: W&B was sent steps {steps}"
        kills = killed.total() - kills_before
        print(f"run {runs}: {kills} kills, same bits, W&B has {len(steps)} rows", flush=True)
        shutil.rmtree(broken)
    print(f"{killed.total()} kills in {runs} runs, nothing lost; by stage:")
    for stage, count in killed.most_common():
        print(f"  {count:3d} {stage}")
    if arguments.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
