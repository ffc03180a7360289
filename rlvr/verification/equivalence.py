r"""Do an answer and a reference mean the same? The rules, one for each kind of reference (`forms`).

| reference | the answer is right if |
|---|---|
| number | it is the same number: exact forms exactly, decimals as in `equality.numbers_equal` |
| per cent | it is the same per cent, the number before the sign (from 1 on), or the hundredth |
| quantity | its value is the same; if both name a unit of measure, the same quantity |
| number in a base | it has the same digits, and that base or none |
| time of day | it is the same time; am or pm may be added, not left out; of `9:16` also the quotient |
| ratio | its parts are proportional, also as `2 to 3`; a ratio of two is also a quotient |
| words | they are the same letters in the same order, case apart |
| list | it has the same parts, each as often, in any order; named parts (`x=1, y=2`) by name or in order |
| tuple, interval | the same brackets, the same parts in order; a bare list, or named parts, for a tuple |
| set | the same parts, repeats apart |
| union, inequality for an interval | the same set of real numbers; `> 3`, `]0,1[` are such sets |
| name = value | the same value, with the same name or none |
| equation, inequality | one side minus the other is the same up to a factor |
| formula, matrix | the same value everywhere (`equality.same_value`) |

For a plain reference an equation counts by its right side, if its left side names what was asked (`x`,
`f(2)`, `m+n`) or has the same value. `2x = 6` is no answer 6.

Runs only inside the workers of `pool`: whoever calls `compare` must be ready to be killed.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter

import sympy

from rlvr.data import Verdict
from rlvr.verification.equality import approximates, digits, same_value, value_of, value_or_none
from rlvr.verification.forms import (
    Bracketed,
    Clock,
    Collection,
    Form,
    Formula,
    Joined,
    Number,
    Percent,
    Quantity,
    Ratio,
    Relation,
    Several,
    Words,
)
from rlvr.verification.functions import Unreadable
from rlvr.verification.mathematics import plainly_equal, screen
from rlvr.verification.pairing import MAX_PARTS, same_parts, same_row, same_set
from rlvr.verification.reading import readings
from rlvr.verification.reference import Reference, golds_of, has_variables
from rlvr.verification.regions import region, same_region, variables
from rlvr.verification.relations import INEQUALITIES, is_naming, named_value, relations


def compare(reference: str | Sequence, answer: str) -> Verdict:
    """Is `answer` what `reference` means? Both in `notation.normal_form`.

    Args:
        reference: a text, or the fields of a `Reference`.

    Returns CORRECT, WRONG or REFERENCE_UNPARSABLE. Once the reference by itself is found to be well, whatever
    goes wrong is the answer's fault: WRONG.
    """
    told = Reference.of(reference)
    golds = [form for form in golds_of(told) if is_sound(form)]
    if not golds:
        return Verdict.REFERENCE_UNPARSABLE
    try:
        targets = readings(answer, letters=not has_variables(told.answer))
        if any(isinstance(gold, Quantity) for gold in golds):  # `5 m`, where lengths are asked for
            targets += readings(_LETTER_FOR_UNIT.sub(r"\\text{ \1}", answer))
        if any(isinstance(gold, Ratio) for gold in golds):  # where none is asked for, `2 to 3` is a range
            targets += readings(_TO.sub(":", answer))
            is_time = any(isinstance(gold, Clock) for gold in golds)  # or may be one: 6:30 is no 3:15
            if not is_time and re.fullmatch(r"\d+\s*:\s*[1-9]\d", answer):  # 4:10 is no time of day there
                targets += (Ratio(tuple(Number(Fraction(part)) for part in answer.split(":"))),)
        equal = any(_fits(told, gold, target) for gold in golds for target in targets)
    except MemoryError:
        raise  # whatever is left of this process, a new one is better
    except Exception:  # of what sympy raises on odd input there is no list
        equal = False
    return Verdict.CORRECT if equal else Verdict.WRONG


_TO = re.compile(r"\s*(?:\\text\s*\{\s*to\s*\}|(?<![A-Za-z])to(?![A-Za-z]))\s*")
_LETTER_FOR_UNIT = re.compile(r"(?<=[\d}])\s*([A-Za-z])$")


def _fits(told: Reference, gold: Form, target: Form) -> bool:
    """Equality, and what a data set says beyond it."""
    if isinstance(gold, Bracketed):
        is_set = isinstance(target, Joined) or _is_range(target) or _is_range(Several((target,)))
        if told.kind == "Tuple" and is_set:
            return False
        if told.kind == "Interval" and isinstance(target, Several) and not is_set:
            return False
    return _equal(gold, target) or bool(told.error_bound and _within(gold, target, told.error_bound))


def _within(gold: Form, target: Form, bound: str) -> bool:
    """Do two numbers, both of them per cent or with one unit if any is, differ by a bound at most?"""
    if isinstance(target, Relation) and (value := named_value(target, _equal)) is not None:
        target = value
    if isinstance(gold, Percent | Quantity):
        if isinstance(target, type(gold)):
            if isinstance(gold, Quantity) and gold.unit != target.unit:
                return False
            target = target.value
        gold = gold.value
    both = isinstance(gold, Number) and isinstance(target, Number)
    return both and abs(gold.value - target.value) <= Fraction(bound)


def judge(reference: str | Reference, text: str) -> Verdict:
    """The verdict on a completion, in this process and without any deadline: for trying things out."""
    outcome = screen(reference, text)
    return outcome if isinstance(outcome, Verdict) else compare(*outcome)


@lru_cache(maxsize=8192)
def is_sound(form: Form) -> bool:
    """Can anything be compared with a reference: are all its formulas read, and do they have values?"""
    if isinstance(form, Formula):
        value = value_or_none(form)
        if value is None:
            return region(form) is not None
        if isinstance(value, sympy.Expr) and not value.is_Rational:
            digits(value, 0)
        return True
    if isinstance(form, Relation) and set(form.operators) == {"="}:
        return is_sound(form.operands[-1])
    if isinstance(form, Percent | Quantity):
        return is_sound(form.value)
    if isinstance(form, Ratio | Several | Bracketed | Collection | Joined | Relation):
        parts = form.operands if isinstance(form, Relation) else form.parts
        return len(parts) <= MAX_PARTS and all(map(is_sound, parts))
    return True


def _equal(gold: Form, target: Form) -> bool:
    if (plain := plainly_equal(gold, target)) is not None:
        return plain
    if gold == target:
        return True
    gold, target = _by_name(gold), _by_name(target)
    for kinds, rule in _RULES:
        if isinstance(gold, kinds) or isinstance(target, kinds):
            return rule(gold, target)
    return _values_equal(gold, target)


def _values_equal(gold: Form, target: Form) -> bool:
    if isinstance(target, Formula | Words) and region(gold) is not None:
        return same_region(gold, target)
    try:
        values = value_of(gold), value_of(target)
    except Unreadable:
        return False
    if same_value(*values):
        return True
    return any(
        isinstance(number, Number) and isinstance(value, sympy.Expr) and approximates(number, value)
        for number, value in ((gold, values[1]), (target, values[0]))
    )


def _scaled(form: Form, factor: Fraction) -> Form:
    if isinstance(form, Number):
        return Number(form.value * factor)
    return Formula(rf"\frac{{{factor.numerator}}}{{{factor.denominator}}}\cdot ({_latex(form)})")


def _percents(gold: Form, target: Form) -> bool:
    if isinstance(gold, Percent) and isinstance(target, Percent):
        return _equal(gold.value, target.value)
    sides = (gold, target)
    if any(isinstance(form, Quantity) for form in sides):  # of a measure there is no per cent
        return False
    if _equal(*(_hundredth(form.value) if isinstance(form, Percent) else form for form in sides)):
        return True
    if isinstance(gold, Number) and abs(gold.value) < 1:  # 0.25 is 25 %, and 0.25 % is another number
        return False
    return _equal(*(form.value if isinstance(form, Percent) else form for form in sides))


def _hundredth(form: Form) -> Form:
    if isinstance(form, Number) and form.places is not None:
        return Number(form.value / 100, form.places + 2)
    return _scaled(form, Fraction(1, 100))


def _quantities(gold: Form, target: Form) -> bool:
    if not (isinstance(gold, Quantity) and isinstance(target, Quantity)):
        return _equal(*(form.value if isinstance(form, Quantity) else form for form in (gold, target)))
    if gold.unit.dimension != target.unit.dimension:
        return False
    if gold.unit.factor == target.unit.factor:
        return _equal(gold.value, target.value)
    return _equal(_scaled(gold.value, gold.unit.factor), _scaled(target.value, target.unit.factor))


def _ratios(gold: Form, target: Form) -> bool:
    if not (isinstance(gold, Ratio) and isinstance(target, Ratio)):
        ratio, other = (gold, target) if isinstance(gold, Ratio) else (target, gold)
        if len(ratio.parts) != 2:
            return False
        over, under = map(_latex, ratio.parts)
        return _values_equal(Formula(rf"\frac{{{over}}}{{{under}}}"), other)
    if len(gold.parts) != len(target.parts):
        return False
    ours, theirs = ([value_of(part) for part in form.parts] for form in (gold, target))
    if any(value == 0 for value in (*ours, *theirs)):
        return all(map(same_value, ours, theirs))
    return all(same_value(a * theirs[0], b * ours[0]) for a, b in zip(ours, theirs, strict=True))


def _latex(form: Form) -> str:
    """A number or formula. Raises Unreadable for any other form."""
    if isinstance(form, Number):
        return rf"\frac{{{form.value.numerator}}}{{{form.value.denominator}}}"
    if isinstance(form, Formula):
        return form.text
    raise Unreadable(f"{type(form).__name__} is no value")


# -- what has parts
def _by_name(form: Form) -> Form:
    """`(x,y) = (1,2)` as `x = 1, y = 2`; all other forms as they are."""
    if not isinstance(form, Relation) or form.operators != ("=",):
        return form
    names, values = form.operands
    both = isinstance(names, Bracketed) and isinstance(values, Bracketed)
    if not both or len(names.parts) != len(values.parts):
        return form
    if not all(isinstance(name, Formula) for name in names.parts):
        return form
    pairs = zip(names.parts, values.parts, strict=True)
    return Several(tuple(Relation((name, value), ("=",), (name.text, "")) for name, value in pairs))


def _lists(gold: Form, target: Form) -> bool:
    """At least one is a list."""
    if _is_range(gold) or _is_range(target):
        commas = isinstance(gold, Several) and gold.either is None
        if commas and len(variables(gold)) == 1 and region(gold) is None:
            gold = replace(gold, either=True)  # `x<-1, x>1` is said of two pieces: both at once is nothing
        lists = isinstance(gold, Several) and isinstance(target, Several)
        lists = lists and {gold.either, target.either} != {True, False}
        return same_region(gold, target) or (lists and same_parts(gold.parts, target.parts, _equal))
    ours, theirs = _parts(gold), _parts(target)
    if ours is None or theirs is None:
        return False
    if isinstance(gold, Collection) or isinstance(target, Collection):
        return same_set(_unnamed(ours), _unnamed(theirs), _equal)
    if not all(map(_is_row, (gold, target))):
        return False
    named = [_names(parts) for parts in (ours, theirs)]
    if all(named):
        return same_parts(ours, theirs, _equal)
    if isinstance(gold, Bracketed) and named[1] and all(map(_LETTER.fullmatch, named[1])):
        # by the names, so that `y=2, x=1` is (1,2)
        theirs = tuple(part for _, part in sorted(zip(named[1], theirs, strict=True), key=itemgetter(0)))
    in_order = isinstance(gold, Bracketed) or (len(set(named[0] or named[1] or ())) > 1 and not named[1])
    return (same_row if in_order else same_parts)(_unnamed(ours), _unnamed(theirs), _equal)


_LETTER = re.compile("[a-z]")


def _is_row(form: Form) -> bool:
    """May a list stand for it? Not for an interval with a closed end."""
    if not isinstance(form, Bracketed):
        return True
    brackets = form.opening + form.closing
    return brackets == "()" or (len(form.parts) > 2 and brackets == "[]")


def _is_range(form: Form) -> bool:
    """Is a form a set of numbers that inequalities say?"""
    return isinstance(form, Several) and any(
        isinstance(part, Relation) and set(part.operators) & {*INEQUALITIES, r"\ne"} for part in form.parts
    )


def _parts(form: Form) -> tuple[Form, ...] | None:
    """The parts of a list, tuple or set, or of a name that is one of them."""
    if isinstance(form, Relation) and (value := named_value(form, _equal)) is not None:
        return _parts(value)
    return form.parts if isinstance(form, Several | Bracketed | Collection) else None


def _names(parts: tuple[Form, ...]) -> list[str]:
    """The names of parts, if all have one."""
    named = [part for part in parts if isinstance(part, Relation) and is_naming(part)]
    names = [part.texts[0].replace(" ", "") for part in named]
    return names if len(names) == len(parts) else []


def _unnamed(parts: tuple[Form, ...]) -> tuple[Form, ...]:
    return tuple(
        part.operands[-1] if isinstance(part, Relation) and is_naming(part) else part for part in parts
    )


def _brackets(gold: Form, target: Form) -> bool:
    """At least one is a tuple, an interval or a set, and none is a list."""
    if isinstance(gold, Bracketed) and isinstance(target, Bracketed):
        alike = (gold.opening, gold.closing) == (target.opening, target.closing)
        return (alike or len(gold.parts) > 2) and same_row(gold.parts, target.parts, _equal)
    if isinstance(gold, Collection) and isinstance(target, Collection):
        return same_set(gold.parts, target.parts, _equal)
    if same_region(gold, target):
        return True
    parts = [form.parts if isinstance(form, Collection) else (form,) for form in (gold, target)]
    one_each = len(parts[0]) == len(parts[1]) == 1 and not isinstance(gold, Bracketed)
    return one_each and not isinstance(target, Bracketed) and _equal(parts[0][0], parts[1][0])  # {5} for 5


def _joins(gold: Form, target: Form) -> bool:
    """At least one is a union or another operation on sets, or a number modulo another."""
    modulo = [isinstance(form, Joined) and form.operator == "mod" for form in (gold, target)]
    if any(modulo):
        if all(modulo) and not _equal(gold.parts[1], target.parts[1]):
            return False
        return _equal(gold.parts[0] if modulo[0] else gold, target.parts[0] if modulo[1] else target)
    if same_region(gold, target):
        return True
    if isinstance(gold, Joined) and isinstance(target, Joined) and gold.operator == target.operator:
        rule = same_row if gold.operator == r"\setminus" else same_parts
        return rule(_flat(gold), _flat(target), _equal)
    return False


def _flat(form: Joined) -> list[Form]:
    parts: list[Form] = []
    for part in form.parts:
        same = isinstance(part, Joined) and part.operator == form.operator and form.operator != r"\setminus"
        parts += _flat(part) if same else [part]
    return parts


# the first kind that either side has decides
_RULES: tuple[tuple[type | tuple[type, ...], Callable[[Form, Form], bool]], ...] = (
    (Several, _lists),
    (Relation, lambda gold, target: relations(gold, target, _equal)),
    (Percent, _percents),
    (Quantity, _quantities),
    (Joined, _joins),
    ((Bracketed, Collection), _brackets),
    (Ratio, _ratios),
)


def warm_up() -> None:
    """Compare one answer of each common kind: what sympy imports or builds at first use, it then has."""
    warnings.simplefilter("ignore")
    for reference, answer in _COMMON:
        compare(reference, answer)


_COMMON = (
    (r"-\frac{\sqrt{3}}{2}", r"\frac{1}{2}\sqrt[3]{5}"),
    (r"\frac{\pi}{4}+2\pi", r"\arctan 1"),
    ("x^2+2x+1", "(x+1)^2"),
    (r"\frac{n(n+1)}{2}", r"\frac{n^{2}+n}{2}"),
    ("y=2x-1", "2x-y=1"),
    (r"[0,\infty)", r"(-\infty,1]\cup\{2\}"),
    (r"1<x\le 2", r"(1,2]"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    (r"\sin^2 x+\cos(2x)", r"\cos^2 x"),
    (r"\log_2 8+\ln 3", r"e^{-2x}"),
    ("1+2i", r"e^{i\pi/3}"),
)
