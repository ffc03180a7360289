"""A checkpoint of a run as a plain transformers folder, or its adapter as a peft folder."""

from pathlib import Path

from rlvr.errors import UserError, refuse_unknown
from rlvr.files.atomic import make_folder
from rlvr.files.run_files import RunFiles
from rlvr.policy.location import find
from rlvr.policy.policy import DTYPES
from rlvr.runs.evaluate import chosen_step
from rlvr.runs.weights import weights_of
from rlvr.training.checkpoint import checkpoints, damage_of
from rlvr.training.setup import initial_policy


def export_run(
    run: str | Path,
    folder: str | Path,
    step: int | None = None,
    dtype: str | None = None,
    adapter: str = "merge",
) -> Path:
    """Write safetensors, config, generation config (with all end tokens) and tokenizer; returns the folder.

    Args:
        run: a run directory.
        folder: where to write; not there yet, or empty.
        step: of the checkpoint; by default the one that evaluation chooses.
        dtype: of the weights, "float32", "bfloat16" or "float16"; by default as they were trained.
        adapter: "merge" makes it a part of the weights, "keep" writes it alone, as peft does.

    Raises:
        UserError: where there is no such run or whole checkpoint, or something stands in `folder`.
    """
    run, folder = Path(run), Path(folder)
    if not (run / "config.yaml").exists():
        raise UserError(f"{run} is not a run directory: it has no config.yaml")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already: name a folder that is not, or is empty")
    make_folder(folder)  # what can't be written is said before a model is loaded
    config = RunFiles(run).config
    refuse_unknown("dtype", [] if dtype is None else [dtype], DTYPES)
    refuse_unknown("adapter", [adapter], ["merge", "keep"])
    if step is not None:
        refuse_unknown("step", [str(step)], [str(there) for there, _ in checkpoints(run)])
    weights = weights_of(config, run, chosen_step(config, run) if step is None else int(step))
    if weights and (damage := damage_of(weights)):
        raise UserError(f"{weights} is damaged ({damage}): choose another checkpoint with step=")
    policy = initial_policy(config, weights, device="cpu")
    if adapter == "keep" and policy.adapter is None:
        raise UserError(f"{run} has no adapter: adapter=keep is for runs with adapter=lora")
    if adapter == "keep":
        policy.adapter.path = find(config.model)  # for peft, which knows rlvr's own models by their folder
        policy.save(folder)
        policy.tokenizer.save_pretrained(folder)
        return folder
    if dtype == "float32":  # before the sum, which keeps more then
        policy.model.float()
    policy.merge_adapter()
    policy.model.to(DTYPES[dtype or config.model.dtype])
    policy.model.generation_config.eos_token_id = policy.end_ids
    policy.save(folder)
    return folder
