"""Which files a run's policy is in: those of a checkpoint, or the model's own before any training."""

from pathlib import Path

from rlvr.config import Config
from rlvr.policy.location import digests_of_files, fetch, own_contents
from rlvr.training.checkpoint import checkpoint_path, read_manifest
from rlvr.training.distributed import optimizer_state


def weights_of(config: Config, path: Path, step: int) -> Path | None:
    """The folder of a checkpoint; None for the model as it is, which a run without training does not copy."""
    folder = checkpoint_path(path, step)
    return folder if config.training.steps or folder.exists() else None


def contents_of_base(config: Config) -> dict[str, str]:
    """Fingerprint of the model below an adapter, whose checkpoints have neither weights nor tokenizer of it.

    Held against a run's provenance (`refuse_other`) before its policy is taken; {} where there is no adapter.
    """
    adapted = config.adapter.name == "lora" and config.training.steps > 0
    return own_contents(config.model) if adapted else {}


def digests_of(config: Config, weights: Path | None) -> dict[str, str]:
    """Digests of the files with weights and tokenizer: of a checkpoint, or of the model as it is."""
    if weights is None:
        return digests_of_files(fetch(config.model))
    return {
        name: digest
        for name, digest in read_manifest(weights).get("blake2b", {}).items()
        if name != "trainer.pt" and not name.startswith(f"{optimizer_state.FOLDER}/")
    }
