r"""Verdicts on multiple-choice answers (GPQA): one letter in the last `\boxed{...}`."""

import re

from rlvr.data import Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.verification.notation import normal_form

_MARKUP = re.compile(r"\\(?:text|mathrm|mathbf|boldsymbol)[a-z]*\s*\{([^{}]*)\}")
_AND_ANOTHER = re.compile(r"[\s).:]*(?:,|/|&|or\b|and\b)[\s(]*[A-Z]\)?(?:[\s.:,)]|$)", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:(?:answer|option|choice)\s*:?\s*)?\(?([A-Z])\)?((?:[\s.:,)].*)?)", re.IGNORECASE | re.DOTALL
)


def verify_choice(problem: Problem, text: str) -> Verdict:
    r"""Is the letter in the box that of the reference?

    `\boxed{C}`, `\boxed{(c)}`, `\boxed{\text{C. 4 eV}}` and `\boxed{Option C}` name C. A box that begins with
    no letter standing alone is no answer, even if it repeats the right option's text. The reference is read
    in the same way.
    """
    if (reference := _choice(problem.answer)) is None:
        return Verdict.REFERENCE_UNPARSABLE
    if (choice := _choice(final_answer(text) or "")) is None:
        return Verdict.NO_ANSWER
    if _AND_ANOTHER.match(choice[2]):  # two guesses
        return Verdict.WRONG
    return Verdict.CORRECT if choice[1].upper() == reference[1].upper() else Verdict.WRONG


def _choice(answer: str) -> re.Match[str] | None:
    return _CHOICE.fullmatch(normal_form(_MARKUP.sub(r"\1", answer[:1000])))
