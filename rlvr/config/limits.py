"""What a value may be, written beside it: on the field of a dataclass or the parameter of a function.

    gamma: float = limited(0.5, at_least=0)                     # a field
    def focal(correct, group_index, *, gamma: Annotated[float, Limits(at_least=0)] = 0.5)

The check of a config, completion and docs/reference/config.md all read these.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING

from rlvr.errors import UserError, unknown


@dataclass(frozen=True)
class Limits:
    """Bounds of a number, choices or form of a text; of a list, those of each entry.

    Without any, everything is accepted but NaN and infinity. None is the business of the type.

    Attributes:
        pattern: a regular expression that the whole text has to match.
        length: the number of entries of a list.
        infinite: whether infinity is accepted too.
        accepted: the limits in words, where they don't speak for themselves.
        nearest: the valid choice that an error names; the violated bound, or the default, if left out.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    length: int | None = None
    infinite: bool = False
    accepted: str = ""
    nearest: str = ""

    def check(self, key: str, value: Any, default: Any = None) -> None:
        """Raise UserError for a value outside of the limits."""
        entries = _entries(value)
        if self.length is not None and len(entries) != self.length:
            raise self._error(key, value, default)
        for entry in entries:
            if entry is None:
                continue
            if self.choices and entry not in self.choices:
                raise unknown(key, entry, self.choices)
            if not self.holds(entry):
                raise self._error(key, value, default)

    def holds(self, entry: Any) -> bool:
        if isinstance(entry, str):
            return not self.pattern or re.fullmatch(self.pattern, entry, re.DOTALL) is not None
        if not isinstance(entry, int | float):
            return True
        return (
            (math.isfinite(entry) or (self.infinite and not math.isnan(entry)))
            and (self.at_least is None or entry >= self.at_least)
            and (self.above is None or entry > self.above)
            and (self.at_most is None or entry <= self.at_most)
            and (self.below is None or entry < self.below)
        )

    def words(self) -> str:
        """What is accepted, as a part of a sentence; empty without limits."""
        if self.accepted:
            return self.accepted
        if self.choices:
            return ", ".join(self.choices)
        if self.at_least is not None and self.at_most is not None:
            text = f"{self.at_least} to {self.at_most}"
        else:
            parts = {
                f"{self.at_least} or more": self.at_least,
                f"above {self.above}": self.above,
                f"at most {self.at_most}": self.at_most,
                f"below {self.below}": self.below,
            }
            text = " and ".join(words for words, bound in parts.items() if bound is not None)
        return f"{self.length} numbers, each {text}" if self.length is not None else text

    def _error(self, key: str, value: Any, default: Any) -> UserError:
        nearest = self.nearest or self._clamped(value)
        if not nearest and default not in (None, MISSING, dataclasses.MISSING):
            nearest = str(default)
        suggestion = f"; the nearest valid choice is {nearest}" if nearest else ""
        words = self.words()
        if any(isinstance(entry, float) and not math.isfinite(entry) for entry in _entries(value)):
            words = f"a finite number, {words}" if words and not self.infinite else words or "a finite number"
        return UserError(f"{key}={value}: accepted is {words}{suggestion}")

    def _clamped(self, value: Any) -> str:
        """The bound that a number violates, where the bound itself is accepted."""
        if isinstance(value, int | float):
            if self.at_least is not None and value < self.at_least:
                return str(self.at_least)
            if self.at_most is not None and value > self.at_most:
                return str(self.at_most)
        return ""


def _entries(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


ANY = Limits()


def limited(default: Any, **limits: Any) -> Any:
    """A field of a dataclass with limits; they are the parameters of `Limits`."""
    metadata = {"limits": Limits(**limits)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def one_of(default: str, *others: str) -> Any:
    """A field that is one of several texts; the first is its default, or MISSING where it has none."""
    return limited(default, choices=others if default == MISSING else (default, *others))


def check_limits(part: Any, prefix: str = "") -> None:
    """Hold every value of a dataclass, and of those inside of it, against the limits of its field."""
    for item in fields(part):
        key, value = f"{prefix}{item.name}", getattr(part, item.name)
        _check_value(key, value, item.metadata.get("limits", ANY), item.default)


def _check_value(key: str, value: Any, limits: Limits, default: Any) -> None:
    if is_dataclass(value):
        check_limits(value, f"{key}.")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _check_value(f"{key}.{name}", inner, limits, None)
    else:
        limits.check(key, value, default)
