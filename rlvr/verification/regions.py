r"""Sets of real numbers, for answers that say one in several ways: `(2,5]`, `2 < x \le 5`, unions."""

from functools import lru_cache

import sympy

from rlvr.verification.equality import value_or_none
from rlvr.verification.forms import Bracketed, Collection, Form, Formula, Joined, Relation, Several, Words
from rlvr.verification.mathematics import words

MAX_SURDS = 6  # roots and other irrational numbers in a union, whose order takes sympy long to find
_PLAIN = str.maketrans("", "", " {}")
_ABOVE_ZERO = sympy.Interval.open(0, sympy.oo)
_NAMED = {
    "R": sympy.S.Reals, "Z": sympy.S.Integers, "N": sympy.S.Naturals, "Q": sympy.S.Rationals,
    "C": sympy.S.Complexes, "Z^+": sympy.S.Naturals, "Z_>0": sympy.S.Naturals,
    "R^+": _ABOVE_ZERO, "R_>0": _ABOVE_ZERO, "R^-": sympy.Interval.open(-sympy.oo, 0),
    r"R_\ge0": sympy.Interval(0, sympy.oo),
}  # fmt: skip
_NAMED = {r"\mathbb" + name: numbers for name, numbers in _NAMED.items()}
MIRRORED = {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}  # with the sides exchanged
_REALS = frozenset(["all real numbers", "all reals", "the real numbers", "reals", "r"])


def same_region(a: Form, b: Form) -> bool:
    """Are both a set of real numbers, and the same one: of one variable, if both name it?"""
    if len(variables(a) | variables(b)) > 1:
        return False
    one, other = region(a), region(b)
    if one is None or other is None:
        return False
    if one == other:
        return True
    return one.is_subset(other) is True and other.is_subset(one) is True


@lru_cache(maxsize=1024)
def region(form: Form) -> sympy.Set | None:
    """The set of real numbers that a form is, or None. Of an inequality: what its one variable may be."""
    if isinstance(form, Words):
        return sympy.S.Reals if words(form) in _REALS else None
    if isinstance(form, Formula):
        return _NAMED.get(form.text.translate(_PLAIN))
    if isinstance(form, Bracketed) and len(form.parts) == 2:
        return _interval(form)
    if isinstance(form, Collection):
        values = [number(part) for part in form.parts]
        return None if None in values else sympy.FiniteSet(*values)
    if isinstance(form, Several) and form.either:
        return _joined(sympy.Union, form.parts)
    if isinstance(form, Several) and all(isinstance(part, Relation) for part in form.parts):
        both = _joined(sympy.Intersection, form.parts)
        return None if both is sympy.S.EmptySet else both
    if isinstance(form, Joined) and form.operator != "mod":
        kind = {r"\cup": sympy.Union, r"\cap": sympy.Intersection, r"\setminus": sympy.Complement}
        return _joined(kind[form.operator], form.parts)
    return _of_relation(form) if isinstance(form, Relation) else None


def number(form: Form) -> sympy.Expr | None:
    """The real number, or infinity, that a form is."""
    value = value_or_none(form)
    return value if isinstance(value, sympy.Expr) and value.is_extended_real and value.is_number else None


def _joined(kind: type, parts: tuple[Form, ...]) -> sympy.Set | None:
    sets = [region(part) for part in parts]
    if None in sets or len({a for one in sets for a in one.atoms(sympy.Pow, sympy.Function)}) > MAX_SURDS:
        return None
    return kind(*sets)


def _interval(form: Bracketed) -> sympy.Set | None:
    low, high = (number(part) for part in form.parts)
    if low is None or high is None or not (high - low).is_extended_positive:
        return None
    return sympy.Interval(low, high, form.opening == "(", form.closing == ")")


def variable(relation: Relation) -> str | None:
    """The one variable of an inequality between it and numbers, such as `1 < x \\le 2`."""
    names = {
        text.replace(" ", "")
        for text, operand in zip(relation.texts, relation.operands, strict=True)
        if isinstance(value_or_none(operand), sympy.Symbol)
    }
    return names.pop() if len(names) == 1 else None


def variables(form: Form) -> set[str]:
    """The names that inequalities bound: `x > 0, y < 1` is no interval."""
    if isinstance(form, Relation):
        named = form.texts[0].replace(" ", "") if form.operators == (r"\in",) else variable(form)
        return {named} if named else set()
    parts = form.parts if isinstance(form, Several | Joined) else ()
    return {name for part in parts for name in variables(part)}


def _of_relation(relation: Relation) -> sympy.Set | None:
    if relation.operators == (r"\in",):
        return region(relation.operands[1])
    if variable(relation) is None:
        return None
    found: sympy.Set = sympy.S.Reals
    for left, operator, right in zip(
        relation.operands, relation.operators, relation.operands[1:], strict=False
    ):
        if (bound := number(right)) is None:
            bound, operator = number(left), MIRRORED.get(operator, operator)
        if bound is None:
            return None
        if operator == r"\ne":
            found -= sympy.FiniteSet(bound)
        elif operator == "=":  # one point of a union
            found &= sympy.FiniteSet(bound)
        elif operator in ("<", r"\le"):
            found &= sympy.Interval(-sympy.oo, bound, True, operator == "<")
        elif operator in (">", r"\ge"):
            found &= sympy.Interval(bound, sympy.oo, operator == ">", True)
        else:
            return None
    return found
