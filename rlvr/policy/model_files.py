"""The files of a model's folder, looked through before transformers reads them: each is whole, and inside.

A folder may come from anywhere. What is wrong with it is one sentence that names the file.
"""

import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from rlvr.errors import UserError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
TOKENIZER_CONFIG, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
OBJECTS = (
    *(CONFIG, "generation_config.json", INDEX, "tokenizer.json", TOKENIZER_CONFIG),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json"),
)
SPECIAL_TOKEN = re.compile(r"\b(?:bos|eos|unk|pad)_token\b")

TOKENIZERS = ("tokenizer.*", "vocab.*", "*.model", "*.tiktoken", "*.spm", "tekken.json")
LAYERS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
# transformers would take all others, quantised ones too, for the numbers
FLOATS = ("F64", "F32", "F16", "BF16")

Shapes = dict[str, tuple[int, ...]]  # of the tensors in safetensors files, by name


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that is no whole model: it names the file, and what is wrong with it."""
    contents = {name: read_object(folder / name) for name in OBJECTS}
    if not contents[CONFIG] and exists(folder / ADAPTER):
        raise UserError(
            f"{folder} has an adapter alone: accepted is a whole model, as `rlvr export` writes it without "
            "adapter=keep, or peft's merge_and_unload"
        )
    if not contents[CONFIG]:
        raise UserError(f"{folder / CONFIG} is missing or empty: it says what model the folder has; fetch it")
    if exists(folder / ADAPTER):
        raise UserError(
            f"{folder / ADAPTER} is there beside a whole model, and names another one that transformers "
            "would load in its place: merge the adapter into that model, or take the file away"
        )
    tensors = len(stored_shapes(folder))
    for key in LAYERS:
        # before transformers makes a list of them
        if isinstance(layers := contents[CONFIG].get(key), int) and not 0 < layers <= tensors:
            raise UserError(
                f"{folder / CONFIG} says {key}={layers}, and the weights are {tensors} tensors: correct it, "
                "or fetch the model again"
            )
    if not any(file.name != TOKENIZER_CONFIG for pattern in TOKENIZERS for file in folder.glob(pattern)):
        raise UserError(f"{folder / 'tokenizer.json'} is missing, and no other tokenizer is there: fetch it")
    template = text_of(folder / TEMPLATE) or str((contents[TOKENIZER_CONFIG] or {}).get("chat_template", ""))
    described = contents[TOKENIZER_CONFIG] or contents["special_tokens_map.json"]
    if not described and (used := SPECIAL_TOKEN.search(template)):
        raise UserError(
            f"{folder / TOKENIZER_CONFIG} is missing or empty: it names the {used[0]} that the chat template "
            "writes; fetch it"
        )


def stored_shapes(folder: Path) -> Shapes:
    """The tensors of a folder's weights, from the headers of its files.

    Raises:
        UserError: no weights as safetensors, a damaged file, or an index that names others than there are.
    """
    if exists(folder / WEIGHTS):
        return header(folder / WEIGHTS)
    if (index := read_object(folder / INDEX)) is None:
        others = sorted(file.name for ending in ("bin", "pt", "pth") for file in folder.glob(f"*.{ending}"))
        beside = f", only {', '.join(others[:3])}, which could run code" if others else ""
        raise UserError(
            f"{folder / WEIGHTS} is missing: weights are read as safetensors, and the folder has none{beside}"
        )
    place, found = folder / INDEX, {}
    files = index.get("weight_map")
    if not isinstance(files, dict) or not files:
        raise UserError(f"{place} has no weight_map of tensors and their files: fetch it again")
    for name in dict.fromkeys(map(str, files.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UserError(f"{place} names {name!r}: accepted are safetensors files of that folder")
        if not exists(folder / name):
            raise UserError(f"{folder / name} is missing, which {INDEX} names: fetch the model again")
        found |= header(folder / name)
    if lost := [name for name in files if name not in found]:
        raise UserError(f"{place} names {lost[0]}, which is not in {files[lost[0]]}: fetch the model again")
    return found


def header(file: Path) -> Shapes:
    """Names and shapes of the tensors in a safetensors file, whose numbers are not read."""
    try:
        with safe_open(file, framework="pt") as weights:
            tensors = {name: weights.get_slice(name) for name in weights.keys()}  # noqa: SIM118 (it is no dict)
            kinds = {name: tensor.get_dtype() for name, tensor in tensors.items()}
            shapes = {name: tuple(tensor.get_shape()) for name, tensor in tensors.items()}
    except (SafetensorError, OSError) as error:
        raise damaged(file, error) from error
    weights_in = {name: kind for name, kind in kinds.items() if name.endswith(("weight", "bias"))}
    if other := [name for name, kind in weights_in.items() if kind not in FLOATS]:
        raise UserError(
            f"{file} has {other[0]} as {kinds[other[0]]}: quantised weights, and others that are no plain "
            "numbers, are not read; give them in float32, bfloat16 or float16"
        )
    return shapes


def read_object(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no such file."""
    if not exists(file):
        return None
    try:
        content = json.loads(file.read_text("utf-8"))  # as transformers reads it
    except (ValueError, OSError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a {type(content).__name__}, not an object: fetch it again")
    return content


def text_of(file: Path) -> str:
    """What a text file says; nothing where there is none."""
    try:
        return file.read_text() if exists(file) else ""
    except (ValueError, OSError) as error:
        raise damaged(file, error) from error


def exists(file: Path) -> bool:
    """Whether there is such a file; UserError for what only has its name: reading a pipe never ends."""
    if file.is_symlink() and not file.exists():
        raise UserError(f"{file} is a link to {file.readlink()}, which is missing: fetch the model again")
    if file.exists() and not file.is_file():
        raise UserError(f"{file} is no file: fetch the model again")
    return file.exists()


def damaged(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} is damaged ({reason(error)}): fetch it again")


def reason(error: Exception) -> str:
    """The first sentence of what another package says, and the kind of its error."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).split('. ')[0][:300]}"
