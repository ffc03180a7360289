r"""Verdicts on mathematical answers: the last `\boxed{...}` of a completion against a reference.

`screen` settles what needs no algebra, which is most of what a policy writes, and refuses what no parser
should see. For the rest `equivalence.compare` does the algebra, in a worker of `pool`.
"""

from fractions import Fraction
from functools import lru_cache

from rlvr.data import Verdict
from rlvr.data.answer_text import MAX_DIGITS, excess, final_answer
from rlvr.verification.forms import Based, Clock, Form, Formula, Number, Words
from rlvr.verification.notation import normal_form
from rlvr.verification.reading import readings
from rlvr.verification.reference import Reference, golds_of

RELATIVE_TOLERANCE = Fraction(1, 10_000)  # of decimals; exact forms have none
_PLAIN = (Number, Words, Clock, Based)
_HALF_DAY = 12 * 3600
# this runs in the process of the training, which no answer that a policy writes may end
UNREAD = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def screen(reference: str | Reference, text: str) -> Verdict | tuple[str | Reference, str]:
    """The verdict on a completion where it takes no algebra; else (reference, answer) in normal form.

    An answer beyond the limits of `answers.excess` is WRONG: a policy must not escape its penalty by writing
    what cannot be checked. A reference beyond them is REFERENCE_UNPARSABLE, whatever the answer.
    """
    answer = final_answer(text)
    if answer is None or not answer.strip():
        return Verdict.NO_ANSWER
    told = Reference.of(reference)
    try:
        expected = _normal_reference(told.answer) or ""
        told = told._replace(answer=expected)
        golds = golds_of(told)
    except UNREAD:
        return Verdict.REFERENCE_UNPARSABLE
    if not expected:
        return Verdict.REFERENCE_UNPARSABLE
    if excess(answer):
        return Verdict.WRONG
    try:
        given = normal_form(answer)
        if not given:
            return Verdict.NO_ANSWER
        equal = settled(golds, readings(given))
    except UNREAD:
        return Verdict.WRONG
    if equal is None or (told.error_bound and not equal):
        return expected if isinstance(reference, str) else told, given
    return Verdict.CORRECT if equal else Verdict.WRONG


@lru_cache(maxsize=4096)
def _normal_reference(reference: str) -> str | None:
    return None if excess(reference.strip()) else normal_form(reference)


def is_plain(reference: str) -> bool:
    """Does a reference in normal form need no algebra?"""
    try:
        return all(isinstance(form, _PLAIN) for form in readings(reference))
    except UNREAD:
        return False


def settled(golds: tuple[Form, ...], targets: tuple[Form, ...]) -> bool | None:
    """Does a reading of an answer equal one of the reference's? None where it takes algebra to say."""
    equal = [plainly_equal(gold, target) for gold in golds for target in targets]
    return True if True in equal else None if None in equal else False


def plainly_equal(gold: Form, target: Form) -> bool | None:
    """Equality of numbers, words, times of day and numbers in a base; None where another kind is involved."""
    if isinstance(gold, Words) or isinstance(target, Words):
        if isinstance(gold, Based):  # `FF` without its base
            return target.text.upper() == gold.digits
        known = isinstance(gold, Words | Number | Clock) and isinstance(target, _PLAIN)
        return words(gold) == words(target) if type(gold) is type(target) else False if known else None
    if isinstance(gold, Based):
        if isinstance(target, Formula):  # `2A` without its base
            return target.text.upper() == gold.digits or None
        return _same_digits(gold, target) if isinstance(target, Number | Based | Clock) else None
    if isinstance(gold, Clock) or isinstance(target, Clock):
        known = isinstance(gold, _PLAIN) and isinstance(target, _PLAIN)
        return _same_time(gold, target) if type(gold) is type(target) else False if known else None
    if isinstance(gold, Number) and isinstance(target, Number | Based):
        if isinstance(target, Based):  # a decimal number may say so
            return target.base == 10 and _same_digits(target, gold)
        return numbers_equal(gold, target)
    return None


def words(form: Words) -> str:
    """Words without case, spaces in a row, and the signs that may stand around them."""
    return " ".join(form.text.casefold().split()).strip(" ()\"'`.,;:!?")


def _same_digits(gold: Based, target: Form) -> bool:
    if isinstance(target, Number):  # no base is said
        value = target.value
        return value.denominator == 1 and 0 <= value < 10**MAX_DIGITS and gold.digits == str(value)
    return gold == target


def _same_time(gold: Clock, target: Clock) -> bool:
    """am or pm may be said where the reference does not, but not left out; 15:00 is 3 pm, 0:30 12:30 am."""
    if gold.half and not target.half and 3600 <= target.seconds <= _HALF_DAY + 3599:
        return False
    if target.half and not gold.half:
        return gold.seconds % _HALF_DAY == target.seconds % _HALF_DAY
    return gold.seconds == target.seconds


def numbers_equal(gold: Number, target: Number) -> bool:
    """Exact numbers are equal or not; an approximation equals what rounds or is cut to it, within the
    tolerance.

    A number whose own digits come to an end needs no approximation, so 0.5000004 is not 1/2 and 1.000000 is
    not 1 - 2^-60. Of two approximations the one with more digits has to round to the other.
    """
    if gold.value == target.value:
        return True
    places = [number.places for number in (gold, target) if number.places is not None]
    if not places or gold.places == target.places:
        return False
    difference = abs(gold.value - target.value)
    if difference > RELATIVE_TOLERANCE * max(abs(gold.value), abs(target.value)):
        return False
    unit = Fraction(10) ** -min(places)
    if len(places) == 2:
        return difference <= unit / 2
    decimal, exact = (target, gold) if gold.places is None else (gold, target)
    return not ends(exact.value) and stands_for(decimal, exact.value)


def stands_for(decimal: Number, value: Fraction) -> bool:
    """Does a value round to a decimal, or begin with its digits, and differ by RELATIVE_TOLERANCE at most?"""
    unit = Fraction(10) ** -decimal.places
    excess_ = abs(value) - abs(decimal.value)
    near = abs(excess_) <= unit / 2 or 0 <= excess_ < unit
    same_sign = value * decimal.value > 0
    return same_sign and near and abs(excess_) <= RELATIVE_TOLERANCE * abs(value)


def ends(value: Fraction) -> bool:
    """Do the decimal digits of a number come to an end: does its denominator divide a power of ten?"""
    return pow(10, value.denominator.bit_length(), value.denominator) == 0
