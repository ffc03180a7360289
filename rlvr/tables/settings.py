"""What tells runs apart, keys of their configs and how they were judged, and how people say it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rlvr.config import Config, fingerprint, identity
from rlvr.config.chat_template import is_text
from rlvr.config.identity import LATER
from rlvr.files.run_directory import flat
from rlvr.files.run_files import RunFiles
from rlvr.functions.source import FileFunction, is_file_function

COMPARED = ("problems", "verifiers", "engine", "precision")  # of the samples' keys, see `samples_key`
Settings = dict[str, Any]  # key with dots -> value; a key that the chosen options do not have is absent


def settings_of(config: Config) -> Settings:
    """Every key of a run with its value."""
    return with_function(flat(asdict(config)))


def trained_settings(config: Config) -> Settings:
    """The keys that decide what is trained. One that came later is absent where it is as it was before."""
    return with_function(flat(identity(config)))


def evaluated_settings(config: Config) -> Settings:
    """The keys that decide how answers are drawn for the numbers of a table, and from which checkpoint."""
    evaluation = config.evaluation
    settings: Settings = {"evaluation": {"sampling": vars(evaluation.sampling)}}
    if config.training.steps:
        names = ("checkpoint", "select_on", "select_by")
        settings["evaluation"] |= {name: getattr(evaluation, name) for name in names}
    return flat(settings)


def judged_settings(run: RunFiles, benchmarks: Iterable[str]) -> Settings:
    """By benchmark and part, as "maze_9.verifiers", what its samples were judged by and made with.

    Problems are those with their references, and verifiers those with their versions, each as a digest. What
    a file does not say is absent.
    """
    from rlvr.evaluation.sampling import key_of  # it imports torch, which no other part of a table needs

    found: Settings = {}
    for name in benchmarks:
        key = (key_of(file) if (file := run.samples(name)) else None) or {}
        for part in COMPARED:
            if part in key:
                found[f"{name}.{part}"] = _all_of(key[part])
    return found


def _all_of(part: object) -> str:
    if isinstance(part, dict):
        return ", ".join(f"{name} {value}" for name, value in sorted(part.items()))
    return str(part)


def with_function(settings: Mapping[str, Any], name: str = "reward.name") -> Settings:
    """Settings with a reward function of a file in the place of the option that takes one, and a digest in
    that of a chat template's text.
    """
    settings = dict(settings)
    if is_text(template := settings.get("model.chat_template") or ""):
        settings["model.chat_template"] = f"template-{fingerprint(template)}"
    if function := settings.pop("reward.function", None):
        settings[name] = function
    return settings


def filled(settings: Sequence[Settings]) -> None:
    """Give each of several settings the keys that came later and that any other one has."""
    there = {key for one in settings for key in one}
    for key, before in flat(LATER).items():
        for one in settings if key in there else ():
            one.setdefault(key, before)


def value_of(settings: Settings, key: str) -> Any:
    return settings.get(f"{key}.name", settings.get(key))


def differing(settings: Sequence[Settings]) -> list[str]:
    """The keys whose values are not the same everywhere; where a key is absent its value is another one."""
    keys = dict.fromkeys(key for one in settings for key in one)
    return [key for key in keys if len({said(one.get(key)) for one in settings}) > 1]


def telling(settings: Sequence[Settings]) -> list[str]:
    """The keys that differ, less those that follow from others of their group, as algorithm.loss does from
    algorithm=cispo; a group's choice comes before its keys."""
    kept: list[str] = []
    keys = differing(settings)
    groups = list(dict.fromkeys(key.split(".")[0] for key in keys))
    for key in sorted(keys, key=lambda key: (groups.index(key.split(".")[0]), not key.endswith(".name"))):
        of_group = [other for other in kept if other.split(".")[0] == key.split(".")[0]]
        outcomes: dict[tuple, set[str]] = {}
        for one in settings:
            cause = tuple(said(one.get(other)) for other in of_group)
            outcomes.setdefault(cause, set()).add(said(one.get(key)))
        if any(len(values) > 1 for values in outcomes.values()):
            kept.append(key)
    return kept


def ranks(values: Iterable[Any]) -> dict[str, int]:
    """The place of each value among all, numbers by their size and before texts; by what is said of it."""
    distinct = {said(value): value for value in values}

    def order(name: str) -> tuple:
        value = distinct[name]
        return (0, value, "") if is_number(value) else (1, 0, name)

    return {name: place for place, name in enumerate(sorted(distinct, key=order))}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def said(value: Any) -> str:
    """A value as a person writes it: 0.5, 8, none, [1,2]."""
    if is_number(value):
        return f"{value:g}" if abs(value) < 1e6 or isinstance(value, float) else str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(said, value))}]"
    return str(value)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The shortest ends of keys that tell them apart; a group's `name` is the group."""
    plain = {key: key.removesuffix(".name") for key in keys}
    names: dict[str, str] = {}
    for key, name in plain.items():
        parts = name.split(".")
        ends = [".".join(parts[i:]) for i in reversed(range(len(parts)))]
        others = [other for other in plain.values() if other != name]
        names[key] = next(
            end for end in ends if not any(other == end or other.endswith(f".{end}") for other in others)
        )
    return names


def named_key(given: str, keys: Iterable[str]) -> str | None:
    """The one key that a name stands for: itself, a group's choice, or the only one that ends so."""
    keys = list(keys)
    for exact in (f"{given}.name", given):
        if exact in keys:
            return exact
    ends = [key for key in keys if key.endswith((f".{given}", f".{given}.name"))]
    return ends[0] if len(ends) == 1 else None


def short_values(values: Iterable[Any]) -> dict[str, str]:
    """What is said of each value, in short: a function of a file by its name, where no other one has it."""
    found = dict.fromkeys(map(said, values))
    functions = {text: FileFunction.of(text) for text in found if is_file_function(text)}
    short = {text: text for text in found}
    for text, function in functions.items():
        for name in (function.name, function.plain):
            if sum(name in (other.name, other.plain) for other in functions.values()) == 1:
                short[text] = name
                break
    return short


def names_of(value: Any) -> set[str]:
    """All that a value may be called."""
    text = said(value)
    if not is_file_function(text):
        return {text}
    function = FileFunction.of(text)
    return {text, function.plain, function.name}
