"""What has no contestant: pass@k, process sets, packing, verification, and how soon the command answers."""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rlvr.algorithms import process_set_sizes
from rlvr.bench.gpu_timing import seconds_of
from rlvr.bench.result import Result, interleaved
from rlvr.config import load_config
from rlvr.data import Completion, Group
from rlvr.errors import UserError
from rlvr.evaluation import counts, pass_at_k
from rlvr.policy.packing import pack_micro_batches
from rlvr.problems import load_problems
from rlvr.verification import verify

KS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def measure(parts: Sequence[str], rounds: int) -> list[Result]:
    """Seconds of each chosen part, `rounds` times."""
    results = []
    for part in parts:
        for what, work in WORK[part]().items():
            seconds = interleaved({"rlvr": partial(seconds_of, work)}, rounds)["rlvr"]
            results.append(Result(part, what, seconds, []))
    return results


def pass_at_k_work() -> dict[str, Callable[[], object]]:
    """A thousand problems with a thousand samples each, as an evaluation's file holds them."""
    rng = np.random.default_rng(0)
    problems = np.repeat([f"problem/{i}" for i in range(1000)], 1000)
    samples = pd.DataFrame({"problem_id": problems, "verdict": rng.choice(["correct", "wrong"], 1_000_000)})
    file = Path(tempfile.mkdtemp()) / "samples.parquet"
    samples.to_parquet(file)

    def aggregate() -> None:
        tally = counts(file)
        for k in KS:
            pass_at_k(tally["n"].to_numpy(), tally["c"].to_numpy(), k).mean()

    return {"a million samples from a file, k to 256": aggregate}


def process_sets_work() -> dict[str, Callable[[], object]]:
    """512 groups of 16 that share a prefix of random length with a random earlier rollout."""
    rng = random.Random(0)
    groups = []
    for _ in range(512):
        group = [[rng.randrange(100) for _ in range(512)]]
        for _ in range(15):
            shared = rng.choice(group)[: rng.randrange(512)]
            group.append(shared + [rng.randrange(100) for _ in range(512 - len(shared))])
        groups.append(group)
    return {"512 groups x 16 x 512 tokens": lambda: [process_set_sizes(group) for group in groups]}


def packing_work() -> dict[str, Callable[[], object]]:
    rng = random.Random(0)
    groups = [group for group in range(2048) for _ in range(16)]
    lengths = [rng.randint(1, 2048) for _ in groups]
    prompts = [100 + group % 100 for group in groups]
    return {
        "32,768 rollouts into micro-batches of 32,768 tokens": lambda: pack_micro_batches(
            groups, prompts, lengths, 32768
        )
    }


def verification_work() -> dict[str, Callable[[], object]]:
    rng = random.Random(0)
    problems = load_problems(load_config().data, held_out=False)[:256]

    def answer(problem) -> Completion:
        numbers = rng.sample(problem.metadata["numbers"], 4)
        return Completion([], [], rng.choice("+-*").join(map(str, numbers)), "stop", 0)

    groups = [Group(problem, [], [answer(problem) for _ in range(64)]) for problem in problems]

    def judge() -> None:
        for group in groups:
            group.verdicts = []  # what has a verdict is not judged again
        verify(groups)

    return {"16,384 countdown answers": judge}


def startup_work() -> dict[str, Callable[[], object]]:
    def help_text() -> None:
        subprocess.run([sys.executable, "-m", "rlvr", "--help"], capture_output=True, check=True)

    def first_step() -> None:
        """Until the first line of metrics is written."""
        with tempfile.TemporaryDirectory() as folder:
            train = ["train", "scale=smoke", "tracking=local", f"runs={folder}", "arm=bench"]
            process = subprocess.Popen([sys.executable, "-m", "rlvr", *train], stdout=subprocess.DEVNULL)
            metrics = Path(folder) / "adhoc" / "bench" / "seed-1" / "metrics.jsonl"
            while not (metrics.exists() and metrics.stat().st_size):
                if process.poll() is not None:
                    raise UserError(
                        f"rlvr train ended with status {process.returncode} before its first step"
                    )
                time.sleep(0.01)
            process.terminate()
            process.wait()

    return {"rlvr --help": help_text, "first training step, from the start of the process": first_step}


WORK = {
    "pass_at_k": pass_at_k_work,
    "process_sets": process_sets_work,
    "packing": packing_work,
    "verification": verification_work,
    "startup": startup_work,
}
