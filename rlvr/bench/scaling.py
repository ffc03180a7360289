"""How an update's time and memory grow: with rollouts, completion length, group size and vocabulary.

Rollouts are random tokens, the policy has the embedded one's shape, and every point is a process of its own,
so that its peak memory is its own too; a vocabulary is three, since how a heap falls to pieces is luck.
"""

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rlvr.bench.contest import MIB
from rlvr.bench.job import Job
from rlvr.bench.result import Result
from rlvr.bench.side import Side
from rlvr.policy.location import EMBEDDED

PROMPT = 32  # tokens
WORDS = range(5, 200)  # tokens that the embedded policy knows
TOKENS = 16384  # in all, where it is not their number that grows


def scaling(threads: int, say: Callable[[str], None]) -> list[Result]:
    """Seconds of an update; peak memory of its process less weights, gradients and AdamW's moments."""
    points = {
        **{f"{n} rollouts of 64 tokens": (n // 8, 8, 64, None) for n in (64, 256, 1024)},
        **{
            f"completions of {n} tokens, {TOKENS} in all": (TOKENS // n // 8, 8, n, None)
            for n in (64, 256, 1024, 2048)
        },
        **{f"groups of {n}, 256 rollouts of 64 tokens": (256 // n, n, 64, None) for n in (2, 8, 64)},
        **{f"vocabulary of {n}, 256 rollouts of 64 tokens": (32, 8, 64, n) for n in (1024, 16384, 131072)},
    }
    results = []
    for what, (prompts, group_size, length, vocabulary) in points.items():
        say(what)
        seconds, beyond = [], []
        for _ in range(1 if vocabulary is None else 3):
            with tempfile.TemporaryDirectory() as folder:
                model = "embedded" if vocabulary is None else random_policy(Path(folder), vocabulary)
                job = Job("scaling", model, prompts, group_size, length, threads=threads, micro_batch=4096)
                side = Side("rlvr", "rlvr.bench.rlvr_side", job.as_dict())
                rollouts = random_rollouts(prompts, group_size, length)
                seconds += [side.ask("update", rollouts=rollouts)["seconds"] for _ in range(4)][1:]
                memory = side.ask("memory")
                side.close()
            # 4: weights, gradients, and AdamW's two moments
            beyond.append((memory["peak"] - 4 * memory["weights"]) / MIB)
        results += [
            Result("scaling", what, seconds, []),
            Result("scaling", f"{what}, memory beyond the weights", beyond, [], unit="MiB"),
        ]
    return results


def random_rollouts(prompts: int, group_size: int, length: int) -> dict[str, Any]:
    rng = random.Random(0)
    return {
        "prompts": [rng.choices(WORDS, k=PROMPT) for _ in range(prompts)],
        "completions": [[rng.choices(WORDS, k=length) for _ in range(group_size)] for _ in range(prompts)],
    }


def random_policy(folder: Path, vocabulary: int) -> str:
    """A policy like the embedded one with random weights and another vocabulary; returns its folder."""
    shape = json.loads((EMBEDDED / "config.json").read_text()) | {"vocab_size": vocabulary}
    (folder / "config.json").write_text(json.dumps(shape))
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(EMBEDDED).save_pretrained(folder)
    return str(folder)
