r"""Verdicts on mathematical answers: the last `\boxed{...}` of a completion against a reference.

`screen` settles what needs no parser, which is most of what a policy writes, and refuses what no
parser should see. For the rest `equivalence.compare` asks math-verify, in a worker of `pool`.
"""

import re
from collections.abc import Hashable
from contextlib import suppress
from functools import lru_cache

from rlvr.data import Verdict
from rlvr.data.answer_text import excess, final_answer, normal_form

_INTEGER = re.compile(r"[+-]?\d+")
_IN_BASE = re.compile(r"([0-9][0-9A-F]*|[A-F][0-9A-F]+)_\{?([2-9]|1[0-6])\}?")
_TIME_OF_DAY = re.compile(r"(\d{1,2}):([0-5]\d)")
_TEXT = re.compile(r"\\(?:text(?:rm|bf|it)?|mathrm|mbox)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[A-Za-z]{4,}|(?=.*[A-Za-z]{3})[A-Za-z0-9]+(?: [A-Za-z0-9]+)+")


def screen(reference: str, text: str) -> Verdict | tuple[str, str]:
    """The verdict on a completion where it takes no parser; else (reference, answer) in normal form.

    An answer beyond the limits of `answers.excess` is WRONG unless it is written exactly like the
    reference: a policy must not escape its penalty by writing what cannot be checked. A
    reference beyond them is REFERENCE_UNPARSABLE.
    """
    answer = final_answer(text)
    if answer is None or not answer.strip():
        return Verdict.NO_ANSWER
    if answer.strip() == reference.strip():
        return Verdict.CORRECT
    expected = _normal_reference(reference)
    if not expected:
        return Verdict.REFERENCE_UNPARSABLE
    if excess(answer):
        return Verdict.WRONG
    given = normal_form(answer)
    if given == expected:
        return Verdict.CORRECT
    if not given:
        return Verdict.NO_ANSWER
    expected_kind, expected_value = simple_value(expected)
    given_kind, given_value = simple_value(given)
    if expected_kind is None or expected_kind != given_kind:
        return expected, given
    return Verdict.CORRECT if expected_value == given_value else Verdict.WRONG


@lru_cache(maxsize=4096)
def _normal_reference(reference: str) -> str | None:
    return None if excess(reference.strip()) else normal_form(reference)


def simple_value(answer: str) -> tuple[str | None, Hashable]:
    """The kind and value of an answer whose meaning shows without a parser; two of a kind are compared here.

    Times of day and words also have to be: as mathematics, 12:30 is a ratio and equals 4:10, and
    "listen" is a product and equals "silent".
    """
    if _INTEGER.fullmatch(answer):
        return "integer", int(answer)
    if match := _IN_BASE.fullmatch(answer):
        with suppress(ValueError):  # a digit that the base does not have
            return "in a base", int(match[1], int(match[2]))
    if match := _TIME_OF_DAY.fullmatch(answer):
        return "time of day", (int(match[1]), int(match[2]))
    plain = _TEXT.sub(r"\1", answer).strip("() ")
    return ("words", plain.casefold()) if _WORDS.fullmatch(plain) else (None, None)
