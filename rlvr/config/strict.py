"""Plain YAML into dataclasses, strictly: a key or a value that does not fit is one sentence with its place.

OmegaConf's structured configs, which `Config` is made with, say "Key 'basline' not in 'Arm'" of a dataclass
inside a list, without the list, the item or the file; they also resolve `${...}` in texts that are meant for
another run. So files that are lists of things (a table's arms, a paper's claims) are read here.
"""

import io
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from omegaconf import OmegaConf

from rlvr.errors import UserError, refuse_unknown

T = TypeVar("T")
KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def load_yaml(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, nothing in it resolved; a key given twice is refused.

    Raises:
        UserError: if the file is not YAML or not a mapping of texts to values.
    """
    try:
        content = deepcopy(_parsed(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError, OSError) as error:  # ValueError: bytes that are no UTF-8
        reason = " ".join(str(error).split())
        raise UserError(f"{file} can't be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} holds a list: accepted are keys with values")
    return content


@cache  # many claims are about one table, which extends others
def _parsed(text: str) -> Any:
    return OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)


def strictly(kind: type[T], value: Any, file: str | Path, place: str = "") -> T:
    """A value of YAML as the dataclass (or annotated type) `kind`.

    A field `from_` is the key `from`, which Python keeps for itself.

    Args:
        file: that the value stands in, for the sentence.
        place: of the value in the file, as in `arms[2]`; empty for all of it.

    Raises:
        UserError: for a key that `kind` does not have, a value of another type, or a missing value; it names
            the file, the place and the nearest key.
    """
    return _read(kind, value, file, place, whole=True)


def check_keys(kind: type, value: Any, file: str | Path) -> None:
    """Refuse what `strictly` refuses, but let values be missing: another file may have them."""
    _read(kind, value, file, "", whole=False)


def _read(kind: Any, value: Any, file: str | Path, place: str, *, whole: bool) -> Any:
    if is_dataclass(kind):
        return _dataclass(kind, value, file, place, whole=whole)
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        options = [option for option in arguments if option is not NoneType]
        if value is None and NoneType in arguments:
            return None
        if len(options) == 1:
            return _read(options[0], value, file, place, whole=whole)
        if any(_fits(value, option) for option in options):
            return value
        raise _refusal(value, file, place, options)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            raise UserError(f"{_full(file, place)} is {value!r}: accepted is a list, as in [{value}]")
        return [_read(arguments[0], v, file, f"{place}[{i}]", whole=whole) for i, v in enumerate(value)]
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise UserError(f"{_full(file, place)} is {value!r}: accepted are keys with values")
        return {k: _read(arguments[1], v, file, _below(place, k), whole=whole) for k, v in value.items()}
    if kind is not Any and not _fits(value, kind):
        raise _refusal(value, file, place, [kind])
    return float(value) if kind is float else value


def _dataclass(kind: Any, value: Any, file: str | Path, place: str, *, whole: bool) -> Any:
    keys = {item.name.rstrip("_"): item for item in fields(kind) if item.init}
    if not isinstance(value, dict):
        raise UserError(f"{_full(file, place)} is {value!r}: accepted are the keys {', '.join(keys)}")
    place_said = place
    if isinstance(name := value.get("name", value.get("claim")), str) and place.endswith("]"):
        place_said = f"{place} ({name})"  # an item's name finds it faster than its number
    refuse_unknown(f"key in {_full(file, place_said)}", value, keys)
    types = _types(kind)
    given = {
        keys[key].name: _read(types[keys[key].name], item, file, _below(place, key), whole=whole)
        for key, item in value.items()
    }
    if not whole:
        return given
    for key, item in keys.items():
        if item.name not in given and item.default is MISSING and item.default_factory is MISSING:
            has = ", ".join(map(str, value)) or "nothing"
            raise UserError(f"{_full(file, place_said)} needs a value for {key!r}: it has {has}")
    return kind(**given)


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool) and kind is not bool:  # True is an int to Python, not to a reader
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def _refusal(value: Any, file: str | Path, place: str, kinds: Iterable[type]) -> UserError:
    accepted = " or ".join(KINDS[kind] for kind in kinds)
    hint = f', as in "{value}"' if str in kinds and isinstance(value, (int, float)) else ""
    return UserError(f"{_full(file, place)} is {value!r}: accepted is {accepted}{hint}")


def _full(file: str | Path, place: str) -> str:
    return f"{place} of {file}" if place else str(file)


def _below(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)
