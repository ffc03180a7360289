"""A run that trains, checkpoints, validates and evaluates in a second or two."""

from pathlib import Path

from rlvr.config import Config, load_config

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=4",
    "training.steps=2",
    "training.checkpoint_every=1",
    "training.prompts_per_step=4",
    "training.mini_batch_prompts=2",
    "evaluation.samples=4",
    "evaluation.k=[1,2,4]",
    "arm=tiny",
]


def tiny(folder: Path, *overrides: str) -> Config:
    """Its config, in a folder of runs, with some keys changed."""
    return load_config([*TINY, f"runs={folder}", *overrides])
