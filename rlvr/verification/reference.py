r"""The right answer as its data set tells it: with a unit, an error bound, or as one of several.

`Problem.metadata` may say how answers are to be judged (OlympiadBench does); `reference_of` gathers it:

- `unit` of the answer, which stands without it. An answer may name it or another of the same measure, so that
  `45` in minutes is also `0.75` hours, but not 45 hours. What is no known unit is passed over.
- `error_bound`: a number may differ by so much from the reference, if that is a number too.
- `several_answers`: whether `1,200` is a list, and not a number.
- `answer_type`: for an `Interval` the pair `-7, -1` is no answer, and for a `Tuple` `-7<x<-1` is none.
- `alternatives`: other ways to write the answer; one that is met is enough.
"""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.verification.forms import Form, Formula, Number, Percent, Quantity, Ratio, Several
from rlvr.verification.notation import normal_form
from rlvr.verification.reading import as_written, readings


class Reference(NamedTuple):
    """A right answer, and what is known of it. A plain text stands for one of which nothing more is."""

    answer: str
    unit: str = ""
    error_bound: str = ""
    several: bool | None = None
    kind: str = ""

    @classmethod
    def of(cls, given: "str | Sequence") -> "Reference":
        """A plain text, or the fields of a `Reference` in their order."""
        return cls(given) if isinstance(given, str) else cls(*given)


def references_of(problem: Problem) -> list[str | Reference]:
    """The reference of a problem, then its alternatives; plain texts where its metadata say no more."""
    told = problem.metadata
    bound = str(told.get("error_bound") or "")
    try:
        if bound and not 0 <= Fraction(bound) < 10**9:
            raise ValueError
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"problem {problem.id}: error_bound={bound!r} in its metadata: accepted is a number, 0 or more"
        ) from error
    several = told.get("several_answers")
    unit, kind = (str(told.get(name) or "") for name in ("unit", "answer_type"))
    about = (unit, bound, several if isinstance(several, bool) else None, kind)
    alternatives = told.get("alternatives") or []
    others = alternatives if isinstance(alternatives, list | tuple) else [alternatives]
    texts = [problem.answer, *map(str, others)]
    return texts if about == Reference("")[1:] else [Reference(text, *about) for text in texts]


_RATIO_OR_TIME = re.compile(r"(\d{1,2})\s*:\s*([1-5]\d)")


@lru_cache(maxsize=4096)
def golds_of(told: Reference) -> tuple[Form, ...]:
    """The readings of a reference in normal form; of one that is known to be a list, or none, those alone.

    A difference of plain numbers is no reference, so `2024-01-05` is a date and not 2018. A time of day that
    may be a ratio in its lowest terms, `9:16`, is both.
    """
    found = readings(told.answer)
    found = tuple(form for form in found if as_written(form, told.answer) is None)
    if (parts := _RATIO_OR_TIME.fullmatch(told.answer)) and math.gcd(int(parts[1]), int(parts[2])) == 1:
        found += (Ratio(tuple(Number(Fraction(part)) for part in parts.groups())),)
    if told.several is not None:
        fitting = tuple(form for form in found if isinstance(form, Several) == told.several)
        found = fitting or found
    return tuple(_with_unit(form, told) for form in found)


def _with_unit(form: Form, told: Reference) -> Form:
    """A number or formula as the quantity or per cent that the data set means; as it is for no known unit."""
    if not told.unit or not isinstance(form, Number | Formula):
        return form
    unit = told.unit.strip()
    if not unit.startswith(("\\", "^", "%")):
        unit = rf"\text{{ {unit}}}"
    whole = readings(normal_form(told.answer + unit))[0]
    return whole if isinstance(whole, Quantity | Percent) and whole.value == form else form


def has_variables(answer: str) -> bool:
    """Has a normal form single letters, besides those of words and powers of ten?"""
    opened = re.sub(r"\\text\s*\{[^{}]*\}|(?<=\d)[eE](?=[+-]?\d)", "", answer)
    return bool(re.search(r"(?<![\\A-Za-z])[A-Za-z]", opened))
