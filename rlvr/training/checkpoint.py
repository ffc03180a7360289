"""Checkpoints: written aside, renamed when whole, checked by digest when read."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from rlvr.config import Config
from rlvr.curriculum import Curriculum
from rlvr.errors import UserError, say
from rlvr.files import step_lines
from rlvr.files.atomic import file_digest, flush_to_disk, user_errors_for, write_whole
from rlvr.files.shapes import misfit
from rlvr.policy.policy import Policy
from rlvr.training.distributed import optimizer_state
from rlvr.training.distributed.ranks import at_stage
from rlvr.training.learner import Learner
from rlvr.training.methods import Methods
from rlvr.training.step_sampler import StepSampler

MANIFEST = "manifest.json"
UNSHARDED = f"{optimizer_state.FOLDER}/state.pt"


class Checkpoint(NamedTuple):
    """A whole checkpoint.

    Attributes:
        logs: {name: lines} that the run's JSON-lines files had when it was written; None in older ones.
    """

    step: int
    path: Path
    logs: dict[str, int] | None


def checkpoint_path(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:06d}"


def checkpoints(run: Path) -> list[tuple[int, Path]]:
    """All checkpoint folders by step; folders with other names (copies, backups) are none."""
    folders = (run / "checkpoints").glob("step-*")
    named = {folder: re.fullmatch(r"step-(\d{6,})", folder.name) for folder in folders}
    return sorted((int(match[1]), folder) for folder, match in named.items() if match)


def is_checkpointed(config: Config, step: int) -> bool:
    """Whether a run that nothing stops has a checkpoint at `step`, and, where it trains, a validation."""
    return step % config.training.checkpoint_every == 0 or step == config.training.steps


def save_checkpoint(
    run: Path,
    step: int,
    policy: Policy,
    learner: Learner,
    curriculum: Curriculum,
    methods: Methods,
    sampler: StepSampler | None = None,
) -> Path:
    """A transformers folder with the weights, `trainer.pt` with the state, and a manifest of digests.

    The optimizer's state is in a folder `optimizer` beside them, in one file or, with several processes, in
    shards. The manifest also claims the lines that the run's logs have by now, which are on disk before it.

    Raises:
        UserError: for weights or optimizer state with NaN or infinity, and for a metrics.jsonl without
            exactly the steps up to this one: no checkpoint is written.
    """
    target = checkpoint_path(run, step)
    aside = target.with_name(f".{target.name}.partial")
    with user_errors_for(target), at_stage("writing a checkpoint"):
        shutil.rmtree(aside, ignore_errors=True)
        state = {"curriculum": curriculum.state_dict(), "methods": methods.state_dict()}
        if ahead := sampler and sampler.state_dict():
            state["ahead"] = ahead
        # in memory: on a GPU that takes no time, and nothing has been written yet
        if bad := learner.not_finite() or next(not_finite(tensors_of(state)), None):
            raise UserError(
                f"{bad} has NaN or infinity in it after step {step}: {target.name} is not written, and the "
                "run ends. Start it from its last checkpoint or anew with another training.learning_rate or "
                "training.gradient_clip"
            )
        policy.save(aside)
        own = learner.state_dict(aside)
        if (optimizer := own.get("optimizer")) and optimizer["state"]:
            (aside / optimizer_state.FOLDER).mkdir(exist_ok=True)
            torch.save(optimizer, aside / UNSHARDED)
            own["optimizer"] = None
        torch.save({"learner": own, **state}, aside / "trainer.pt")
        step_lines.check_steps(run / "metrics.jsonl", step)
        logs = {file.stem: step_lines.claim(file) for file in sorted(run.glob("*.jsonl"))}
        seal(aside, target, step, logs=logs, finite=True)
    return target


def seal(aside: Path, target: Path, step: int, **claims: Any) -> None:
    """Add the manifest to a folder that is otherwise whole, flush both to disk, and give it its name."""
    files = sorted(file for file in aside.rglob("*") if file.is_file())
    digests = digests_in(aside, [file.relative_to(aside).as_posix() for file in files])
    (aside / MANIFEST).write_text(json.dumps({"step": step, "blake2b": digests, **claims}, indent=2))
    for path in (*files, aside / MANIFEST, aside):
        flush_to_disk(path)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(aside, target)
    flush_to_disk(target.parent)


def digests_in(folder: Path, names: Collection[str]) -> dict[str, str]:
    """{name: digest} of files in a folder, taken at the same time: all GPUs of a run wait for them."""
    with ThreadPoolExecutor() as threads:
        digests = threads.map(file_digest, [folder / name for name in names])
        return dict(zip(names, digests, strict=True))


def remove_folder(folder: Path) -> None:
    """Remove a folder; a kill in the middle leaves no part of one under its name."""
    aside = folder.with_name(f".{folder.name}.removed")
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def remove_optimizer(folder: Path) -> None:
    """Leave only what an evaluation needs: the manifest first no longer names the optimizer's files."""
    manifest = read_manifest(folder)
    if manifest and manifest.get("optimizer", True):
        kept = {
            name: digest
            for name, digest in manifest["blake2b"].items()
            if not name.startswith(f"{optimizer_state.FOLDER}/")
        }
        whole = manifest | {"blake2b": kept, "optimizer": False}
        write_whole(folder / MANIFEST, json.dumps(whole, indent=2))
        flush_to_disk(folder / MANIFEST)
        flush_to_disk(folder)
    remove_folder(folder / optimizer_state.FOLDER)


def latest_checkpoint(run: Path, last_step: int | None = None) -> Checkpoint | None:
    """The newest checkpoint that is whole and whose claims hold; others are passed over, and named.

    One whose optimizer state was removed on purpose is none to go on from, unless it is that of `last_step`,
    after which there is no update.
    """
    for step, path in reversed(checkpoints(run)):
        if read_manifest(path).get("optimizer") is False and step != last_step:
            continue
        logs = None
        if not (damage := damage_of(path)) and (claimed := read_manifest(path).get("logs")) is not None:
            breaches = [step_lines.breach(run / f"{name}.jsonl", claim) for name, claim in claimed.items()]
            damage = next(filter(None, breaches), None)
            logs = {name: claim["lines"] for name, claim in claimed.items()}
        if not damage:
            return Checkpoint(step, path, logs)
        say(f"{path} can't be gone on from ({damage}): going on from the one before it")
    return None


def load_state(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """The trainer's state of a checkpoint; tensors and plain values only, no code.

    Args:
        mapped: leave tensors on the disk until they are used, as who wants the plain values does.

    Raises:
        UserError: for a file that holds anything else, though its digest is that of the manifest.
    """

    def read(file: Path) -> Any:
        try:
            return torch.load(file, weights_only=True, map_location="cpu", mmap=mapped)
        except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError) as error:
            raise UserError(
                f"{file} is no state that rlvr wrote ({type(error).__name__}): it is not read; remove "
                f"{path.name} to go on from the checkpoint before it"
            ) from error

    state = read(path / "trainer.pt")
    if (path / UNSHARDED).exists():
        state["learner"]["optimizer"] = read(path / UNSHARDED)
    return state


# what a manifest has beside its step and digests, since some version
CLAIMS = {"logs": {"*": {"lines": int, "blake2b": str}}, "finite": bool, "optimizer": bool}


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint; {} where it can't be read or says what none says."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        claims = {key: CLAIMS[key] for key in manifest.keys() & CLAIMS.keys()}
    except (OSError, ValueError, RecursionError, AttributeError):
        return {}
    if misfit(manifest, {"step": int, "blake2b": {"*": str}, **claims}):
        return {}
    parts = [part for name in manifest["blake2b"] for part in Path(name).parts]
    return {} if {"..", "/"} & set(parts) else manifest


def damage_of(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None."""
    manifest = read_manifest(path)
    if not manifest:
        return "its manifest can't be read"
    if path.name != checkpoint_path(path, manifest.get("step", -1)).name:
        return f"it is that of step {manifest.get('step')}"
    files = {file.name for pattern in ("*.safetensors", "trainer.pt") for file in path.glob(pattern)}
    if unnamed := sorted(files - manifest["blake2b"].keys()):
        return f"its manifest does not name {unnamed[0]}"
    written = manifest["blake2b"]
    if missing := next((name for name in written if not (path / name).is_file()), None):
        return f"{missing} is missing"
    for name, digest in digests_in(path, written).items():
        if digest != written[name]:
            return f"{name} does not have the digest it was written with"
    metrics = path.parents[1] / "metrics.jsonl"
    claimed = manifest.get("logs", {}).get("metrics") if metrics.exists() else None
    if claimed and (breach := step_lines.breach(metrics, claimed)):  # also where it is another run's
        return breach
    if not manifest.get("finite") and (bad := next(not_finite(saved_tensors(path)), None)):
        return f"{bad} has NaN or infinity in it"
    return None


def saved_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """The weights in a transformers folder, one after the other."""
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (it is no dict)
                yield name, weights.get_tensor(name)


def tensors_of(state: Any, name: str = "trainer.pt") -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested dicts and lists."""
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, dict | list | tuple):
        entries = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in entries:
            yield from tensors_of(value, f"{name}/{key}")


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[str]:
    """Names of the tensors that hold NaN or infinity."""
    return (name for name, tensor in tensors if tensor.is_floating_point() and not tensor.isfinite().all())
