"""What a run on verl leaves, put where `rlvr evaluate` and the tables look for it."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlvr.config import Config, arm_name
from rlvr.errors import UserError
from rlvr.evaluation.validation import in_domain_scores
from rlvr.files import step_lines
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import RunDirectory
from rlvr.tracking.sent import Sent
from rlvr.tracking.tracker import chosen
from rlvr.tracking.weights_and_biases import note_sent
from rlvr.training.checkpoint import checkpoint_path, damage_of, seal


def take_over(config: Config, directory: RunDirectory) -> None:
    """Checkpoints, validation scores, metrics and summary of a finished run on verl.

    Raises:
        UserError: where verl left no weights of the last step.
    """
    run, verl = directory.path, directory.path / "verl"
    for step, weights in saved_weights(verl / "checkpoints").items():
        take_over_checkpoint(run, step, weights)
    if damage_of(checkpoint_path(run, config.training.steps)):
        raise UserError(
            f"{verl} has no whole weights of step {config.training.steps}: "
            "start the same command again, and verl goes on from its last checkpoint"
        )
    ks = config.evaluation.validated_k
    lines = {int(file.stem): in_domain(file, ks) for file in (verl / "validation").glob("*.jsonl")}
    write_lines(run / "validation.jsonl", lines)
    write_lines(run / "metrics.jsonl", metrics(verl))
    directory.record_files("validation.jsonl", "metrics.jsonl")
    if "wandb" in chosen(config):  # verl sent W&B all of them, under the run's id
        note_sent(run, Sent(config.training.steps, validated=True))
    training = config.training
    directory.update_summary(
        experiment=config.experiment,
        arm=arm_name(config),
        seed=config.seed,
        scale=config.scale.name,
        backend="verl",
        status="trained",
        trained_steps=training.steps,
        optimizer_steps=training.optimizer_steps,
    )


def saved_weights(checkpoints: Path) -> dict[int, Path]:
    """The transformers folders verl saved beside its shards, by step."""
    return {
        int(folder.parents[1].name.removeprefix("global_step_")): folder
        for folder in checkpoints.glob("global_step_*/actor/huggingface")
        if any(folder.glob("*.safetensors"))
    }


def take_over_checkpoint(run: Path, step: int, weights: Path) -> None:
    """A checkpoint of rlvr's from verl's weights: the same files, without a copy where the disk allows it."""
    target = checkpoint_path(run, step)
    if damage_of(target) is None:
        return
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for file in weights.iterdir():
        try:
            os.link(file, aside / file.name)
        except OSError:  # another disk, or one without hard links
            shutil.copy2(file, aside / file.name)
    seal(aside, target, step)


def in_domain(file: Path, ks: Sequence[int] = (1,)) -> dict[str, float]:
    """pass@1 of each benchmark after the mean pass@k of all, from the samples verl wrote, one a line; samples
    that nothing can be judged of are left out, as in `rlvr.evaluation.validation.validate`."""
    judged: dict[str, dict[str, list[float]]] = {}
    with file.open(encoding="utf-8") as lines:  # not `splitlines`: an answer may hold its other line ends
        for line in lines:
            sample = json.loads(line)
            if not sample["unscorable"]:
                problems = judged.setdefault(sample["benchmark"], {})
                problems.setdefault(sample["problem"], []).append(sample["acc"])
    counts = {
        name: (np.array([len(v) for v in problems.values()]), np.array([sum(v) for v in problems.values()]))
        for name, problems in judged.items()
    }
    averages, scores = in_domain_scores(counts, ks)
    return averages | scores


def metrics(verl: Path) -> dict[int, dict[str, float]]:
    """verl's own metrics by step; where it was started again, those of the last time.

    Of the step that it goes on from verl logs a validation alone, which is added to what was there.
    """
    by_step: dict[int, dict[str, float]] = {}
    for file in sorted(verl.glob("metrics-*.jsonl")):
        for line in step_lines.read(file):
            by_step[line["step"]] = by_step.get(line["step"], {}) | line["data"]
    return by_step


def write_lines(file: Path, lines: dict[int, dict[str, float]]) -> None:
    """A file as `step_lines` has them."""
    write_whole(file, "".join(json.dumps({"step": step, **lines[step]}) + "\n" for step in sorted(lines)))
