"""Every key that a config can have, whatever options are chosen: for completion and the reference page."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin

from rlvr.config import registry
from rlvr.config.check import groups_with_variants
from rlvr.config.elsewhere import key_meant
from rlvr.config.limits import ANY, Limits
from rlvr.config.schema import Config
from rlvr.errors import initials


@dataclass(frozen=True)
class Key:
    """A key of the config.

    Attributes:
        name: with dots; `<name>` stands for any key of a dict.
        option: what has to be chosen for it to exist, as "advantage_scaling=focal"; empty if nothing.
        default: "???" where a value must be given.
        owner: the dataclass or the function that the key belongs to.
    """

    name: str
    option: str
    type: Any
    default: Any
    limits: Limits
    owner: Any


def all_keys() -> list[Key]:
    """In the order of the schema."""
    found: list[Key] = []
    variants = groups_with_variants()
    for item in fields(Config):
        if item.name in variants:
            schemas, kind = variants[item.name], registry.GROUPS.get(item.name)
            owners = registry.methods(kind) if kind else schemas
            for option, schema in schemas.items():
                found += _keys(schema, f"{item.name}.", f"{item.name}={option}", owners[option])
        else:
            found += _of_field(item, "", "", Config)
        if item.name == "algorithm":
            found += _keys_of_methods()
    return found


def _keys_of_methods() -> Iterator[Key]:
    for kind in ("losses", "advantages", "rewards"):
        for option, method in registry.methods(kind).items():
            schema = registry.schema_of(option, method)
            chosen = "" if kind == "rewards" else f"{registry.KINDS[kind].key}={option}"
            prefix = f"algorithm.{option}." if kind == "rewards" else "algorithm."
            yield from (key for key in _keys(schema, prefix, chosen, method) if key.name != f"{prefix}name")


def _keys(schema: type, prefix: str, option: str, owner: Any) -> list[Key]:
    return [key for item in fields(schema) for key in _of_field(item, prefix, option, owner)]


def _of_field(item: Field, prefix: str, option: str, owner: Any) -> list[Key]:
    name = prefix + item.name
    if is_dataclass(item.type):
        return _keys(item.type, f"{name}.", option, item.type)
    if get_origin(item.type) is dict and is_dataclass(inner := get_args(item.type)[1]):
        return _keys(inner, f"{name}.<name>.", option, inner)
    default = item.default if item.default is not MISSING else item.default_factory()
    return [Key(name, option, item.type, default, item.metadata.get("limits", ANY), owner)]


def meant(name: str, value: Any = None) -> str:
    """The key of the config that a name stands for which is none: path=x for data.path=x, `group_size.n` for
    verl's `actor_rollout_ref.rollout.n`; "" where nothing is known."""
    ends = dict.fromkeys(key.name for key in all_keys() if "<" not in key.name)
    found = [key for key in ends if name in ((last := key.split(".")[-1]), initials(last))]
    found = sorted(found, key=lambda key: (key.count("."), not key.startswith(("data.", "training."))))
    return " or ".join(f"{key}={value}" for key in found[:3]) or key_meant(name, value)


def choices(name: str) -> list[str]:
    """The accepted values of a key, where they are a list."""
    kinds = {kind.key: table for table, kind in registry.KINDS.items()}
    if name in ("algorithm.loss", "algorithm.advantage"):
        return sorted(registry.methods(kinds[name]))
    return sorted({choice for key in all_keys() if key.name == name for choice in key.limits.choices})
