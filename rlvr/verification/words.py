r"""Verdicts on answers that are words: the last `\boxed{...}` against the reference, as text."""

import re

from rlvr.data import Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.verification.notation import UNKNOWN

_TEXT = re.compile(r"\\(?:text(?:rm|bf|it)?|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")

_AROUND = " $*\"'`."
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def plain_words(answer: str) -> str:
    r"""Without case, `\text{}`, spaces in a row, and the signs that may stand around an answer.

    Brackets go in pairs: `(yes)` is yes, and `[1,2],[3,4]` stays. What only looks like a letter is none.
    """
    letters = "".join(UNKNOWN if not c.isascii() and c.casefold().isascii() else c for c in answer)
    words = " ".join(_TEXT.sub(r"\1", letters).casefold().split()).strip(_AROUND)
    while (pair := _BRACKETS.get(words[:1])) and words.endswith(pair) and _is_one_group(words):
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
    answer = plain_words(final_answer(text) or "")
    if not answer:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if answer == plain_words(problem.answer) else Verdict.WRONG


def verify_tagged_words(problem: Problem, text: str) -> Verdict:
    """As `verify_words`, for an answer in the last <answer>...</answer>, or in a box where there is none."""
    tagged = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    return verify_words(problem, rf"\boxed{{{tagged[-1]}}}" if tagged else text)
