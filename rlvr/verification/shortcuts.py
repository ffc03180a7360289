r"""Answers that are right and show nothing: a formula copied from the question, a calculation left undone.

To "What is $99^2+99+1$?" the answer `\boxed{99^2+99+1}` has the right value, and for one in thirteen of
MATH's training problems some formula of the question has (`test_shortcuts.py` counts them). A policy that is
rewarded for equality alone can learn to copy. Two rules, on tokens, for answers that have the right value:

- **Copied**: it stands in the question, has something to be worked out in it, and is no reference as written.
  Plain numbers, names and lists of them may stand there: what is asked for is often among what was given.
- **Undone**: it is made of numerals and the four operations, where the reference is a numeral. A fraction is
  done unless the reference is whole (`50\%` is not); powers, roots and functions (`2^{10}`, `5!`) are done.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from rlvr.verification.notation import normal_form
from rlvr.verification.units import split_quantity

Tokens = list[str]

# of texts in normal form
_SPELLINGS = (
    (re.compile(r"\\frac\s*(\d)\s*(\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"(?<![\d.)}/])(\d+)\s*/\s*(\d+)(?![\d./])"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s*\{\s*([+-]?\d+)\s*\}\s*\{\s*1\s*\}"), r"\1"),  # nothing of it is left undone
    (re.compile(r"\\(?:cdot|times)(?![A-Za-z])"), "*"),
    (re.compile(r"\\[dt]binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"(?<=\d)(?:,| )(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\^\s*\\circ|%|USD|\\text(?![A-Za-z])|[{}]"), " "),
)
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]+|\d*\.\d+|\d+|\S")
_NUMERAL = r"(?:\d*\.\d+|\d+)"
_SIGNED = re.compile(f"[+-]?{_NUMERAL}")
_OF_FOUR = re.compile(rf"{_NUMERAL}|\\frac|[-+*/()]")
_OVER = rf"\\frac [+-]?{_NUMERAL} {_NUMERAL}|{_NUMERAL}/[+-]?{_NUMERAL}"
_QUOTIENT = re.compile(rf"[+-]?(?:{_NUMERAL} )?(?:{_OVER})")
_NAMES = re.compile(
    r"\\(?:pi|theta|alpha|beta|gamma|delta|phi|omega|lambda|mu|infty|emptyset|cup|cap|in|le|ge|leq|geq|ne|neq"
    r"|pm|mathbb|ldots|dots|[{}])"
)


def is_shortcut(question: str, references: Sequence[str], answer: str) -> bool:
    """Is an answer, which has the right value, copied from the question or a calculation left undone?

    Args:
        references: all that the problem accepts, as written.
        answer: as written, without its box.
    """
    answer = normal_form(answer)
    value, _, unit = split_quantity(answer)
    given = _tokens(answer if unit is None else value)
    golds = [_sides(_tokens(normal_form(reference)))[-1] for reference in references]
    *names, value = _sides(given)
    if value in golds or given in golds:
        return False
    if names and len(value) == 1 and value[0].isalpha():  # `400-4 = n`
        names, value = [value], names[0]
    numerals = [gold for gold in map("".join, golds) if _SIGNED.fullmatch(gold)]
    whole = "." not in "".join(numerals) and not any("%" in reference for reference in references)
    if numerals and _is_undone(value, whole=whole):
        return True
    copies = names if value and value[0].isalpha() and not _is_calculation(value) else [value]
    copies = [side for side in copies if _is_calculation(side)]
    asked = _tokens(normal_form(question)) if copies else []  # most answers are done before it comes to this
    return any(_stands_in(side, asked) for side in copies)


def _tokens(text: str) -> Tokens:
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    tokens = _TOKEN.findall(text.strip().rstrip(".,;"))
    for index in range(len(tokens) - 3, 0, -1):  # `\log_2(32)` as `\log_2 32`
        applied = tokens[index - 1][0] == "\\" or (index > 1 and tokens[index - 2] == "_")
        if applied and tokens[index] == "(" and tokens[index + 2] == ")":
            tokens[index : index + 3] = tokens[index + 1 : index + 2]
    return tokens


def _sides(tokens: Tokens) -> list[Tokens]:
    """The sides of an equation, or the whole."""
    ends = [index for index, token in enumerate(tokens) if token == "="]
    return [tokens[start + 1 : end] for start, end in pairwise([-1, *ends, len(tokens)])]


def _is_undone(value: Tokens, *, whole: bool) -> bool:
    """Is it made of numerals and operations, and no quotient or mixed number where one may be?"""
    if not all(map(_OF_FOUR.fullmatch, value)) or not _is_calculation(value):
        return False
    spaced = re.sub(r"([-+]) ", r"\1", " ".join(value).replace(" / ", "/"))
    return whole or not _QUOTIENT.fullmatch(spaced)


def _is_calculation(side: Tokens) -> bool:
    """Is there anything to be worked out: an operation, a power, a function?"""
    if any(token.startswith("\\") and not _NAMES.fullmatch(token) for token in side):
        return True
    return bool({*"*/^!|"} & set(side)) or any(map(_is_operation, side, side[1:]))


def _is_operation(before: str, token: str) -> bool:
    """Is it a sign between two operands, or a bracket that multiplies what is before it?"""
    return token in ("+", "-", "(") and (before[-1].isalnum() or before in ")]}") and before[0] != "\\"


def _stands_in(side: Tokens, asked: Tokens) -> bool:
    return any(asked[start : start + len(side)] == side for start in range(len(asked) - len(side) + 1))
