"""Which checkpoints a run keeps, and what they take on the disk."""

import shutil
from pathlib import Path

from rlvr.config import Config
from rlvr.files.run_directory import read_summary
from rlvr.runs.evaluate import ranked_steps
from rlvr.training.checkpoint import (
    checkpoint_path,
    checkpoints,
    is_checkpointed,
    remove_folder,
    remove_optimizer,
)
from rlvr.training.distributed.ranks import at_stage


def remove_unneeded(config: Config, path: Path, newest: int, *, trained: bool = False) -> None:
    """Remove the checkpoints that neither a resume nor an evaluation needs, and optimizer state likewise.

    Called where the validation of every checkpoint is known. A kill in the middle loses nothing: what is kept
    is whole at every moment, and the next call removes the rest.

    Args:
        newest: step of the checkpoint that the run goes on from; any after it are damaged, and left alone.
        trained: there will be no update any more.
    """
    with at_stage("removing checkpoints"):
        for rest in (path / "checkpoints").glob(".step-*.removed"):
            shutil.rmtree(rest, ignore_errors=True)
        steps = [step for step, _ in checkpoints(path) if step <= newest]
        kept = kept_steps(config, path, steps)
        for step in steps:
            if step not in kept:
                remove_folder(checkpoint_path(path, step))
            elif config.checkpoint.keep is not None and (trained or step != newest):
                remove_optimizer(checkpoint_path(path, step))


def kept_steps(config: Config, path: Path, steps: list[int]) -> set[int]:
    """Those of the steps with a checkpoint that are kept.

    The last one, which a run goes on from, and of those that the config has a checkpoint at (others are saved
    where time is up, and by `checkpoint.every_minutes`) all, or the last `checkpoint.keep`. With these
    the one to evaluate, and step 0 where rare answers are measured against it.
    """
    regular = [step for step in steps if is_checkpointed(config, step)]
    if config.checkpoint.keep is None:
        return {*steps[-1:], *regular}
    evaluated = read_summary(path).get("checkpoint_step")
    best = next(iter(ranked_steps(config, path)), None) if config.training.steps else 0
    initial = 0 if config.evaluation.rare.prompts else None
    return {*steps[-1:], *regular[-config.checkpoint.keep :], best, evaluated, initial}


def checkpoint_bytes(config: Config, weights: int, optimizer: int) -> dict[str, int]:
    """Bytes of a run's checkpoints once it is done, and those that it needs more while it trains.

    Args:
        weights: bytes of the weights of one checkpoint.
        optimizer: bytes of the optimizer's state.
    """
    training, keep = config.training, config.checkpoint.keep
    if training.steps == 0:  # the model is evaluated as it is
        return {"checkpoints": weights * bool(config.evaluation.rare.prompts), "while it trains": 0}
    later = sum(is_checkpointed(config, step) for step in range(1, training.steps + 1))
    if keep is None:
        return {"checkpoints": weights + (weights + optimizer) * later, "while it trains": 0}
    kept = min(later, keep + 1) + bool(config.evaluation.rare.prompts)
    # the optimizer's state beside the last, and a whole one that is being written
    return {"checkpoints": weights * kept, "while it trains": weights + 2 * optimizer}
