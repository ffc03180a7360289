r"""Verdicts on multiple-choice answers (GPQA): one letter in the last `\boxed{...}`."""

import re

from rlvr.data import Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.verification.notation import normal_form

_MARKUP = re.compile(r"\\(?:text|mathrm|mathbf|boldsymbol)[a-z]*\s*\{([^{}]*)\}")
_LETTER = r"(?:(?:answer|option|choice)\s*:?\s*)?(?:\(([A-Z])\)|([A-Z]))"
_CHOICE = re.compile(_LETTER + r"(?:\s*[.:)].*|(?<=\)).*)?", re.IGNORECASE | re.DOTALL)
_TWO = re.compile(_LETTER + r"[\s).:]*(?:,|/|&|or\b|and\b)[\s(]*[A-Z]\)?(?:[\s.:,)]|$)", re.IGNORECASE)
_SENTENCE = re.compile(r"\b(?:answer|option|choice)\b(?: is)?:? \(?[A-Z]\b", re.IGNORECASE)


def verify_choice(problem: Problem, text: str) -> Verdict:
    r"""Is the letter in the box that of the reference?

    `\boxed{C}`, `\boxed{(c)}`, `\boxed{\text{C. 4 eV}}` and `\boxed{Option C}` name C. Text may follow a
    letter in brackets, or one with a full stop, a bracket or a colon behind it, as the option's own text
    does. A sentence is no answer (`\boxed{A is wrong, it is C}`), and neither is a box that begins with no
    letter standing alone, even if it repeats the right option's text. The reference is read in the same way.
    """
    if (reference := _choice(problem.answer)) is None:
        return Verdict.REFERENCE_UNPARSABLE
    answer = final_answer(text) or ""
    if _TWO.match(_plain(answer)):  # guesses
        return Verdict.WRONG
    if (choice := _choice(answer)) is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if choice == reference else Verdict.WRONG


def _choice(answer: str) -> str | None:
    """The letter that an answer names, in upper case."""
    answer = _plain(answer)
    if (match := _CHOICE.fullmatch(answer)) is None or _SENTENCE.search(answer, match.end(match.lastindex)):
        return None
    return (match[1] or match[2]).upper()


def _plain(answer: str) -> str:
    return normal_form(_MARKUP.sub(r"\1", answer[:1000]))
