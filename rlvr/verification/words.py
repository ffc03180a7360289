r"""Verdicts on answers that are words: the last `\boxed{...}` against the reference, as text."""

import re

from rlvr.data import Problem, Verdict
from rlvr.data.answer_text import MAX_NESTING, final_answer
from rlvr.verification.notation import UNKNOWN

_TEXT = re.compile(r"\\(?:text(?:rm|bf|it)?|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")

_AROUND = " $*\"'`."
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def plain_words(answer: str) -> str:
    r"""Without case, `\text{}`, spaces in a row, and the signs that may stand around an answer.

    Brackets go in pairs: `(yes)` is yes, and `[1,2],[3,4]` stays, as do brackets around brackets alone. What
    only looks like a letter is none.
    """
    letters = "".join(UNKNOWN if not c.isascii() and c.casefold().isascii() else c for c in answer)
    words = " ".join(_TEXT.sub(r"\1", letters).casefold().split()).strip(_AROUND)
    nesting = MAX_NESTING if any(map(str.isalnum, words)) else 0
    for _ in range(nesting):  # each takes a look at all of the answer
        if words[-1:] != _BRACKETS.get(words[:1], "none") or not _is_one_group(words):
            break
        words = words[1:-1].strip(_AROUND)
    return words


def _is_one_group(words: str) -> bool:
    """Does the bracket at the start close at the end?"""
    depth = 0
    for position, character in enumerate(words):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position == len(words) - 1
    return False


def verify_words(problem: Problem, text: str) -> Verdict:
    """The reference's words in the reference's order; a boxed answer without any is NO_ANSWER."""
    return _compare(problem, final_answer(text) or "")


def _compare(problem: Problem, answer: str) -> Verdict:
    answer, reference = plain_words(answer), plain_words(problem.answer)
    if not reference:
        return Verdict.REFERENCE_UNPARSABLE
    if not answer:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if answer == reference else Verdict.WRONG


def verify_tagged_words(problem: Problem, text: str) -> Verdict:
    """As `verify_words`, for an answer in the last <answer>...</answer>, or in a box where there is none."""
    closed = text.split("</answer>")[:-1]  # a pattern would look through all of the text at each tag
    tagged = [part.rpartition("<answer>")[2] for part in closed if "<answer>" in part]
    if not tagged:
        return verify_words(problem, text)
    boxed = final_answer(tagged[-1])
    return _compare(problem, tagged[-1] if boxed is None else boxed)
