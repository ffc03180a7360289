r"""Verdicts on answers that are words: the last `\boxed{...}` against the reference, as text."""

import re

from rlvr.data import Problem, Verdict
from rlvr.data.answer_text import final_answer

_TEXT = re.compile(r"\\(?:text(?:rm|bf|it)?|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")


def plain_words(answer: str) -> str:
    r"""Without case, `\text{}`, spaces in a row, and the signs that may stand around an answer."""
    return " ".join(_TEXT.sub(r"\1", answer).casefold().split()).strip(" $*()[]{}\"'`.")


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
