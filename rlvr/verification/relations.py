"""When equations and inequalities say the same, and what value an equation gives to a name."""

import re

import sympy

from rlvr.verification.equality import proportional, value_of, value_or_none
from rlvr.verification.forms import Form, Formula, Joined, Number, Relation, Several, Words
from rlvr.verification.functions import Unreadable
from rlvr.verification.pairing import Equal
from rlvr.verification.regions import MIRRORED, same_region, variable

INEQUALITIES = {"<": 1, r"\le": 1, ">": -1, r"\ge": -1}  # which side is the larger

_NAME = re.compile(
    r"(?:\\[A-Za-z]+\s*(?:\{[^{}]*\})?|[A-Za-z])\s*(?:_\s*(?:\{[^{}]*\}|\w))?'*\s*(?:\([^=]*\))?"
    r"|\\frac\s*\{\s*d\s*\\?[A-Za-z]*\s*\}\s*\{\s*d\s*[A-Za-z]\s*\}"
    r"|\\(?:angle|triangle)\s*[A-Za-z ]+|\|?[A-Z]{2,}\|?|\|\s*[A-Z]\s*\||P\s*\(.*\)"
)


_NAMES = re.compile(r"\(\s*[A-Za-z](?:\s*,\s*[A-Za-z])+\s*\)")
_SEGMENT = re.compile(r"(?:\\(?:text|overline)\s*)?\{?[A-Z]{2,}\}?")


def is_naming(relation: Relation) -> bool:
    """Does an equation, or `x \\in S`, give a value to a name?"""
    member = relation.operators == (r"\in",)
    if member and _NAMES.fullmatch(relation.texts[0]):  # `(x,y) \in \{(1,2), (2,1)\}`
        return True
    naming = set(relation.operators) == {"="} or member
    return naming and bool(_NAME.fullmatch(relation.texts[0]) or isinstance(relation.operands[0], Words))


_DENIAL = re.compile(r"(?i)\b(?:not|no(?!\.)|never|except|but|cannot|wrong)\b|n't|\\(?:neg|lnot)(?![a-z])")


def named_value(relation: Relation, equal: Equal) -> Form | None:
    """The value that an equation says, if its left side is a name for it or has that value."""
    if _DENIAL.search(relation.texts[0]):
        return None
    if relation.operators == (r"\equiv",) and _NAME.fullmatch(relation.texts[0]):  # `x \equiv 3 \pmod 7`
        return relation.operands[1] if isinstance(relation.operands[1], Joined) else None
    if is_naming(relation):
        return None if _of_itself(relation) else relation.operands[-1]
    if set(relation.operators) != {"="}:
        return None
    first, last = relation.operands[0], relation.operands[-1]
    if isinstance(last, Formula) and _NAME.fullmatch(last.text) and not isinstance(first, Relation):
        named = value_or_none(last)
        if named is None:
            return None
        if not named.is_number:
            return first if len(relation.operands) == 2 else None
    value = value_or_none(first)
    if value is None:
        return last
    symbols = value.free_symbols
    if not symbols:  # `2+1 = 3` says 3, and `1 = 5` nothing
        return last if all(equal(operand, last) for operand in relation.operands) else None
    # `x+y = 5` names what was asked; `2x = 6` has another solution, and `x-y = 0` is the equation of a line
    names_a_sum = len(symbols) > 1 and not (isinstance(last, Number) and last.value == 0)
    return last if names_a_sum else None


def _of_itself(relation: Relation) -> bool:
    """Is a name's value made of the name, as in `x = x^2+1`? That is an equation for it."""
    name, value = relation.operands[0], relation.operands[-1]
    if not (isinstance(name, Formula) and isinstance(value, Formula)):
        return False
    try:
        symbols = value_of(name).free_symbols
        return bool(symbols) and symbols <= value_of(value).free_symbols
    except (Unreadable, AttributeError):
        return False


def relations(gold: Form, target: Form, equal: Equal) -> bool:
    """At least one is an equation or inequality."""
    if not isinstance(gold, Relation):
        value = named_value(target, equal)
        return (value is not None and equal(gold, value)) or same_region(gold, target)
    if not isinstance(target, Relation):
        named = is_naming(gold) and not isinstance(target, Several)
        named = named and not all(map(_SEGMENT.fullmatch, gold.texts))  # `AB = CD` asks for neither
        return (named and equal(gold.operands[-1], target)) or same_region(gold, target)
    kinds = [set(relation.operators) == {"="} for relation in (gold, target)]
    if all(kinds):
        return _equations(gold, target, equal)
    if any(kinds):
        return False
    if _inequalities(gold, target):
        return True
    same_variable = variable(gold) is not None and variable(gold) == variable(target)
    if same_variable and same_region(gold, target):
        return True
    return _same_row(gold, target, equal) or _same_row(gold, _mirrored(target), equal)


def _same_row(gold: Relation, target: Relation, equal: Equal) -> bool:
    return gold.operators == target.operators and all(map(equal, gold.operands, target.operands))


def _mirrored(chain: Relation) -> Relation:
    """`a < b` as `b > a`; what can't be turned round stays."""
    if not set(chain.operators) <= MIRRORED.keys():
        return chain
    turned = tuple(MIRRORED[operator] for operator in chain.operators[::-1])
    return Relation(chain.operands[::-1], turned, chain.texts[::-1])


def _equations(gold: Relation, target: Relation, equal: Equal) -> bool:
    ours, theirs = ((form.operands[0], form.operands[-1]) for form in (gold, target))
    names = [form.texts[0].replace(" ", "") for form in (gold, target)]
    if is_naming(gold) and is_naming(target) and names[0] == names[1]:
        return equal(ours[1], theirs[1])
    try:
        f, g = (value_of(left) - value_of(right) for left, right in (ours, theirs))
    except (Unreadable, TypeError):
        return any(all(map(equal, ours, sides)) for sides in (theirs, theirs[::-1]))
    return proportional(f, g)


def _inequalities(gold: Relation, target: Relation) -> bool:
    """The same inequalities, in any order, each up to a positive factor."""
    chains = [_steps(relation) for relation in (gold, target)]
    if None in chains or len(chains[0]) != len(chains[1]):
        return False
    ours, theirs = chains
    for first, strict in ours:
        alike = (s for s in theirs if s[1] == strict and proportional(first, s[0], positive=True))
        if (found := next(alike, None)) is None:
            return False
        theirs.remove(found)
    return True


def _steps(relation: Relation) -> list[tuple[sympy.Expr, bool]] | None:
    """Each step of a chain as what has to be above zero (or zero, if not strict)."""
    if not set(relation.operators) <= INEQUALITIES.keys():
        return None
    try:
        values = [value_of(operand) for operand in relation.operands]
    except Unreadable:
        return None
    return [
        ((right - left) * INEQUALITIES[operator], operator in ("<", ">"))
        for left, operator, right in zip(values, relation.operators, values[1:], strict=False)
    ]
