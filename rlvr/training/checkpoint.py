"""Checkpoints: written aside, renamed when whole, checked by digest when read."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from rlvr.config import Config
from rlvr.curriculum import Curriculum
from rlvr.files.atomic import user_errors_for
from rlvr.policy.policy import Policy
from rlvr.training.distributed.ranks import at_stage
from rlvr.training.learner import Learner

MANIFEST = "manifest.json"


def checkpoint_path(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:06d}"


def is_checkpointed(config: Config, step: int) -> bool:
    """Whether a run that nothing stops has a checkpoint at `step`, and, where it trains, a validation."""
    return step % config.training.checkpoint_every == 0 or step == config.training.steps


def save_checkpoint(run: Path, step: int, policy: Policy, learner: Learner, curriculum: Curriculum) -> Path:
    """A transformers folder with the weights, `trainer.pt` with the state, and a manifest of digests.

    With several processes the optimizer's shards are in a folder `optimizer` beside them.
    """
    target = checkpoint_path(run, step)
    aside = target.with_name(f".{target.name}.partial")
    with user_errors_for(target), at_stage("writing a checkpoint"):
        shutil.rmtree(aside, ignore_errors=True)
        policy.save(aside)
        state = {"learner": learner.state_dict(aside), "curriculum": curriculum.state_dict()}
        torch.save(state, aside / "trainer.pt")
        seal(aside, target, step)
    return target


def seal(aside: Path, target: Path, step: int) -> None:
    """Add the manifest to a folder that is otherwise whole, and give it its name."""
    files = sorted(file for file in aside.rglob("*") if file.is_file())
    digests = {file.relative_to(aside).as_posix(): digest(file) for file in files}
    (aside / MANIFEST).write_text(json.dumps({"step": step, "blake2b": digests}, indent=2))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(aside, target)


def latest_checkpoint(run: Path) -> tuple[int, Path] | None:
    """The newest checkpoint that is whole; a damaged one is passed over, and said to be."""
    for path in sorted((run / "checkpoints").glob("step-*"), reverse=True):
        if damage := damage_of(path):
            Console(stderr=True).print(f"{path} is damaged ({damage}): going on from the one before it")
        else:
            return int(path.name.removeprefix("step-")), path
    return None


def load_state(path: Path) -> dict[str, Any]:
    """The trainer's state of a checkpoint; tensors and plain values only, no code."""
    return torch.load(path / "trainer.pt", weights_only=True, map_location="cpu")


def damage_of(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError):
        return "its manifest can't be read"
    for name, expected in manifest["blake2b"].items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if digest(path / name) != expected:
            return f"{name} does not have the digest it was written with"
    return None


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
