"""The one reader of the command line: a verb is a dataclass of its own keys and a function of it.

What a person types is read, explained (`rlvr <verb> --help`), refused in a sentence and completed from the
same fields, so that none of the four can say something else than the others.
"""

import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Any

from rlvr.errors import UserError, unknown

Choices = Sequence[str] | Callable[[], Iterable[str]]  # a function where they take an import to know


def key(
    help: str,
    default: Any = MISSING,
    *,
    choices: Choices | None = None,
    others: bool = False,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    example: str | None = None,
) -> Any:
    """A field that is given as `name=value`.

    Args:
        default: without one, the key has to be given.
        choices: the accepted values; of a list, of each of its members.
        others: whether choices are only examples, and the verb says what is accepted.
        least: the smallest accepted number.
        above: the number that an accepted one is above.
        most: the largest accepted number.
        example: a value for the sentences that ask for one.
    """
    about = {"kind": "key", "help": help, "choices": choices, "others": others, "example": example}
    return field(default=default, metadata=about | {"least": least, "above": above, "most": most})


def flag(
    *names: str,
    help: str,
    value: str | None = None,
    choices: Choices | None = None,
    bare: str | None = None,
    hidden: bool = False,
) -> Any:
    """A field that is given as one of `names`: a switch, or with `value` (what it stands for) a setting.

    Args:
        bare: what the flag means where no value follows it.
    """
    about = {"help": help, "value": value, "choices": choices, "bare": bare, "hidden": hidden}
    default = False if value is None else None
    return field(default=default, metadata={"kind": "flag", "flags": names, **about})


def word(what: str, help: str, choices: Choices | None = None, *, optional: bool = False) -> Any:
    """A field that is given by its place, such as a run's folder."""
    about = {"kind": "word", "what": what, "help": help, "choices": choices}
    return field(default=None if optional else MISSING, metadata=about)


def optional_keys(name: str, settings: type, bases: tuple[type, ...] = ()) -> type:
    """A dataclass's fields as keys that may be left out (None), with help and limits from their metadata."""
    columns = [
        (item.name, item.type | None, field(default=None, metadata={"kind": "key", **item.metadata}))
        for item in fields(settings)
    ]
    return make_dataclass(name, columns, bases=bases, kw_only=True)


def given_of(keys: Any, settings: type) -> dict[str, Any]:
    """Those fields of `settings` that a command line gave, as `optional_keys` has them."""
    values = {item.name: getattr(keys, item.name) for item in fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


@dataclass(kw_only=True)
class NoKeys:
    """A verb without keys."""


@dataclass(frozen=True)
class Verb:
    """One verb of the command line.

    Attributes:
        run: what it does with its keys; its docstring is the help: a sentence, examples, notes.
        keys: a dataclass of `key`, `flag` and `word` fields. A class with `accept_override` takes further
            `key=value` pairs, which end up in its list `overrides`; one with `refused` has flags that are
            known and not taken, each with the sentence why.
        together: whether several processes do it as one, under torchrun.
    """

    name: str
    run: Callable[[Any], None]
    keys: type = NoKeys
    together: bool = False

    def fields(self, kind: str) -> dict[str, Field]:
        return {item.name: item for item in fields(self.keys) if item.metadata.get("kind") == kind}

    @property
    def flags(self) -> dict[str, Field]:
        """Its flags by each of their names."""
        return {name: item for item in self.fields("flag").values() for name in item.metadata["flags"]}

    @property
    def takes_overrides(self) -> bool:
        return hasattr(self.keys, "accept_override")

    @property
    def summary(self) -> str:
        return inspect.getdoc(self.run).split("\n\n")[0].replace("\n", " ")  # type: ignore[union-attr]


def read(verb: Verb, words: Sequence[str]) -> Any:
    """The verb's keys as a command line gives them; of a key given twice, the last value, as Hydra has it.

    Raises:
        UserError: one sentence for what is unknown, left empty, or no value of its key.
    """
    given: dict[str, Any] = {}
    overrides: dict[str, str] = {}
    places = list(verb.fields("word").values())
    rest = list(words)
    while rest:
        text = rest.pop(0)
        if text.startswith("-"):
            _take_flag(verb, text, rest, given)
            continue
        name, equals, value = text.partition("=")
        if equals and name in verb.fields("key"):
            given[name] = _value(verb.fields("key")[name], name, value)
        elif places and name and (not equals or Path(text).exists() or not is_key(verb, name)):
            _take_word(verb, places, text, given)
        elif verb.takes_overrides and (equals or text.startswith("~")):
            verb.keys.accept_override(verb, text)
            overrides.pop(name.lstrip("+~"), None)
            overrides[name.lstrip("+~")] = text
        else:
            raise _stray(verb, text)
    _ask_for_the_missing(verb, given)
    return verb.keys(**given, **({"overrides": list(overrides.values())} if verb.takes_overrides else {}))


def is_key(verb: Verb, name: str) -> bool:
    """Whether what stands before an equals sign can be a key, and not the beginning of a path."""
    return name.isidentifier() or (verb.takes_overrides and verb.keys.is_key(name.lstrip("+~")))


def _take_flag(verb: Verb, text: str, rest: list[str], given: dict[str, Any]) -> None:
    name, equals, value = text.partition("=")
    if name not in verb.flags:
        raise _unknown_flag(verb, name)
    item = verb.flags[name]
    about = item.metadata
    if about["value"] is None:
        if equals:
            raise UserError(f"{text!r}: {name} takes no value")
        given[item.name] = True
        return
    following = rest[0] if rest and not rest[0].startswith("-") else None
    if not equals and following is not None and not (about["bare"] and "=" in following):
        value = rest.pop(0)
        text = f"{name} {value}"
    elif not equals and about["bare"]:
        value = about["bare"]
    if not value:
        raise UserError(f"{name} needs a value: {about['value']}")
    if (accepted := choices_of(item)) and value not in accepted:
        raise unknown(f"value of {name}", value, accepted)
    given[item.name] = value


def _unknown_flag(verb: Verb, name: str) -> UserError:
    if sentence := getattr(verb.keys, "refused", {}).get(name):
        return UserError(f"{name}: {sentence}")
    plain = name.lstrip("-").replace("-", "_")
    if plain in verb.fields("key") or (verb.takes_overrides and verb.keys.is_key(plain)):
        return UserError(f"unknown flag {name!r}: write {plain}=..., as all keys are given")
    return unknown(f"flag of {verb.name}", name, [*shown_flags(verb), "--help"])


def _take_word(verb: Verb, places: list[Field], text: str, given: dict[str, Any]) -> None:
    item = next((item for item in places if item.name not in given), None)
    if item is None:
        raise UserError(f"{text!r} is one too many: write {usage(verb)}")
    if (accepted := choices_of(item)) and text not in accepted:
        raise unknown(item.metadata["what"], text, accepted)
    given[item.name] = _path(text) if _type_of(item) is Path else text


def _path(text: str) -> Path:
    from rlvr.config.places import at_home

    return at_home(text)


def _stray(verb: Verb, text: str) -> UserError:
    name, equals, _ = text.partition("=")
    own = [*verb.fields("key"), *shown_flags(verb)]
    if not equals:
        how = "write key=value, as in seed=2" if verb.takes_overrides else f"write {usage(verb)}"
        return UserError(f"{text!r} is neither a key with its value nor a flag of {verb.name}: {how}")
    if not name:
        return UserError(f"{text!r} has no key: write key=value")
    if not own:
        return UserError(f"{verb.name} takes no keys: {text!r} was given")
    return unknown(f"key of {verb.name}", name, own)


def _ask_for_the_missing(verb: Verb, given: Mapping[str, Any]) -> None:
    missing = [
        item
        for item in fields(verb.keys)
        if item.metadata and item.default is MISSING and item.name not in given
    ]
    if missing and missing[0].metadata["kind"] == "word":
        raise UserError(f"{verb.name} needs a {missing[0].metadata['what']}: write {usage(verb)}")
    if missing:
        wanted = " ".join(f"{item.name}={item.metadata['example'] or '...'}" for item in missing)
        names = " and ".join(f"{item.name}=" for item in missing)
        accepted = choices_of(missing[0]) if len(missing) == 1 else []
        there = f"; there are {', '.join(accepted)}" if accepted else ""
        raise UserError(f"{verb.name} needs {names}, as in {wanted}{there}")


def _type_of(item: Field) -> Any:
    """The type of a field, less its None."""
    hint = item.type
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint


def choices_of(item: Field) -> list[str]:
    """The accepted values of a field; none where they are no list."""
    choices = item.metadata.get("choices") or ()
    return [str(choice) for choice in (choices() if callable(choices) else choices)]


def _value(item: Field, name: str, text: str) -> Any:
    """The value of a key from its text."""
    hint = _type_of(item)
    if not text:
        example = item.metadata.get("example")
        raise UserError(f"{name}= has no value: write {name}={example or '...'}")
    if typing.get_origin(hint) is list:
        (member,) = typing.get_args(hint)
        return [_one(item, name, part, member, text) for part in text.split(",") if part]
    return _one(item, name, text, hint, text)


def _one(item: Field, name: str, text: str, hint: Any, whole: str) -> Any:
    if (accepted := choices_of(item)) and text not in accepted and not item.metadata.get("others"):
        raise unknown(name, text, accepted)
    if hint not in (int, float):
        return _path(text) if hint is Path else hint(text)
    about = item.metadata
    least, above, most = (about.get(name) for name in ("least", "above", "most"))
    try:
        number = hint(text)
        high_enough = (least is None or number >= least) and (above is None or number > above)
        if high_enough and (number <= most if most is not None else abs(number) < float("inf")):
            return number
    except ValueError:
        pass
    kind = "whole number" if hint is int else "number"
    limit = f" from {least:g} on" if least is not None else f" above {above:g}" if above is not None else ""
    limit += f" and at most {most:g}" if most is not None else ""
    example = about.get("example") or ("1" if hint is int else "0.5")
    several = whole != text or "," in example
    accepted = f"are {kind}s with commas between them" if several else f"is a {kind}"
    raise UserError(f"{name}={whole}: accepted {accepted}{limit}, as in {name}={example}")


def shown_flags(verb: Verb) -> list[str]:
    return [name for name, item in verb.flags.items() if not item.metadata["hidden"]]


def usage(verb: Verb) -> str:
    """The verb with what it takes by place."""
    places = (f"<{item.metadata['what']}>" for item in verb.fields("word").values())
    return "`" + " ".join(["rlvr", verb.name, *places]) + "`"


def help_of(verb: Verb) -> str:
    """What `rlvr <verb> --help` prints: the docstring, then every key and flag with a line of its own."""
    parts = [inspect.getdoc(verb.run) or ""]
    if rows := [*_rows(verb, "word"), *_rows(verb, "key")]:
        parts.append("\n".join(["Keys:", *_columns(rows)]))
    if flags := flag_lines(verb):
        parts.append(f"Flags:\n{flags}")
    if verb.takes_overrides:
        parts.append(verb.keys.help_of_overrides())
    return "\n\n".join(parts)


def flag_lines(verb: Verb) -> str:
    """A line for each flag of a verb."""
    return "\n".join(_columns(_rows(verb, "flag")))


def _rows(verb: Verb, kind: str) -> list[tuple[str, str]]:
    rows = []
    for name, item in verb.fields(kind).items():
        about = item.metadata
        if kind == "word":
            rows.append((f"<{about['what']}>", about["help"]))
        elif kind == "key":
            rows.append((f"{name}={_placeholder(item)}", about["help"] + _details(item)))
        elif not about["hidden"]:
            value = f"[{about['value']}]" if about["bare"] else about["value"] or ""
            rows.append((f"{', '.join(about['flags'])} {value}".rstrip(), about["help"]))
    return rows


def _details(item: Field) -> str:
    """What follows a key's help: its accepted values, if the left column has no room, and its default."""
    accepted, default = choices_of(item), item.metadata.get("default", item.default)
    listed = ": " + ", ".join(accepted) if accepted and "|" not in _placeholder(item) else ""
    known = default not in (None, MISSING, ()) and not isinstance(default, tuple)
    return (listed if len(accepted) <= 16 else "") + (f" [{default}]" if known else "")


def _placeholder(item: Field) -> str:
    accepted = choices_of(item)
    if 0 < len(accepted) <= 4 and typing.get_origin(item.type) is not list:
        return "|".join(accepted)
    text = str(item.type)
    whole, number = "int" in text, "float" in text
    one = "<n>" if whole else "<number>" if number else "<path>" if "Path" in text else "<name>"
    return f"{one},..." if "list" in text else one


def _columns(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    left = min(max((len(row[0]) for row in rows), default=0) + 4, 34)
    for name, text in rows:
        lines = textwrap.wrap(text, 110 - left)
        if len(name) + 4 > left:
            yield f"  {name}"
            name = ""
        yield f"  {name:<{left - 2}}{lines[0] if lines else ''}".rstrip()
        yield from (" " * left + line for line in lines[1:])


def listing(groups: Mapping[str, Iterable[str]]) -> str:
    """Names, each with what it holds, wrapped."""
    return "\n".join(_columns([(name, ", ".join(options)) for name, options in groups.items()]))
