"""Are two values equal? Exactly for exact forms, within a stated tolerance for decimals, everywhere for
formulas.

Two formulas are equal if no digit of their difference is found at any of POINTS points, to DIGITS digits: a
test of identities by points nobody chooses (Schwartz and Zippel). Points where neither formula is real count
only if there are no others; a point where just one is real tells them apart. Nothing is simplified and
nothing is solved.
"""

import random
import zlib
from fractions import Fraction
from functools import lru_cache

import sympy
from sympy import I, MatrixBase

from rlvr.verification.forms import Form, Formula, Number
from rlvr.verification.functions import Unreadable, Value
from rlvr.verification.latex import read_formula
from rlvr.verification.mathematics import numbers_equal, stands_for

DIGITS = 120
POINTS = 4
POINTS_OF_PIECES = 40  # where roots, absolute values and the like make a formula two in one


def approximates(number: Number, value: sympy.Expr) -> bool:
    """Does a number stand for the value of a formula: is it that value, or rounded or cut from it?"""
    if value.is_Rational:
        return numbers_equal(number, Number(Fraction(int(value.p), int(value.q))))
    if number.places is None or not value.is_number:
        return False
    known = value.evalf(30)
    if not known.is_Float or not known.is_finite or abs(known._mpf_[2]) > 9999:  # no decimal is of that size
        return False
    return stands_for(number, Fraction(str(known)))


def value_of(form: Form) -> Value:
    """The value of a number or formula. Raises Unreadable for any other form."""
    if isinstance(form, Number):
        return sympy.Rational(form.value.numerator, form.value.denominator)
    if isinstance(form, Formula):
        return read_formula(form.text)
    raise Unreadable(f"{type(form).__name__} is no value")


def value_or_none(form: Form) -> Value | None:
    """The value of a number or formula; None for an unreadable formula and for any other form."""
    try:
        return value_of(form)
    except Unreadable:
        return None


@lru_cache(maxsize=8192)
def same_value(a: Value, b: Value) -> bool:
    """Have two formulas, numbers or matrices the same value wherever they have one?"""
    if isinstance(a, MatrixBase) or isinstance(b, MatrixBase):
        return (
            isinstance(a, MatrixBase)
            and isinstance(b, MatrixBase)
            and a.shape == b.shape
            and all(same_value(x, y) for x, y in zip(a.flat(), b.flat(), strict=True))
        )
    if a == b:
        return True
    if (a.is_Rational and b.is_Rational) or a.is_infinite or b.is_infinite:
        return False
    complex_ = a.has(I) or b.has(I)
    wanted = POINTS_OF_PIECES if _has_pieces(a) or _has_pieces(b) else POINTS
    attempts = range(3 * wanted if a.free_symbols or b.free_symbols else 1)
    compared, unreal = 0, []
    for attempt in attempts:
        values = [digits(side, attempt) for side in (a, b)]
        if not complex_:
            real = list(map(_is_real, values))
            if real[0] != real[1]:
                return False
            if not real[0]:
                unreal.append(attempt)
                continue
        if _clearly_differ(*values) or not _no_digit(a - b, attempt):
            return False
        compared += 1
        if compared == wanted:
            return True
    return compared > 0 or all(_no_digit(a - b, attempt) for attempt in unreal[:POINTS])


def _has_pieces(value: sympy.Expr) -> bool:
    powers = (power for power in value.atoms(sympy.Pow) if power.base.free_symbols)
    roots = (power.exp.is_Rational and not power.exp.is_Integer for power in powers)
    return value.has(sympy.Abs, sympy.floor, sympy.ceiling, sympy.Max, sympy.Min, sympy.sign) or any(roots)


@lru_cache(maxsize=16384)  # the answers of a group are compared with one reference
def digits(value: sympy.Expr, attempt: int) -> sympy.Expr:
    """15 digits of a formula at the points of one attempt."""
    return value.evalf(15, subs=point(value.free_symbols, attempt))


def point(symbols: set[sympy.Symbol], attempt: int) -> dict[sympy.Symbol, sympy.Rational]:
    """A value for each variable, the variable's own and always the same; of both signs, small and large."""
    return {variable: _coordinate(variable.name, attempt) for variable in symbols}


@lru_cache(maxsize=4096)
def _coordinate(name: str, attempt: int) -> sympy.Rational:
    draw = random.Random(zlib.crc32(f"{name} {attempt}".encode()))
    size = sympy.Rational(draw.randint(101, 997), draw.choice((11, 11, 97, 331, 9901, 9901)))
    negative = attempt == 1 or (attempt % 2 == 1 and draw.random() < 0.5)
    if attempt >= 3 * POINTS:  # of pieces: their border may be far away, as in |x-1000|, or at whole numbers
        far = size * sympy.Integer(10) ** draw.randint(-3, 4)
        size = far if attempt % 3 else sympy.Integer(draw.randint(1, 60))
    return -size if negative else size


def _clearly_differ(a: sympy.Expr, b: sympy.Expr) -> bool:
    """Do computed values differ by more than computing can?"""
    try:
        one, other = complex(a), complex(b)
    except (TypeError, OverflowError):
        return False
    return abs(one - other) > 1e-6 * max(abs(one), abs(other)) > 1e-60


def _is_real(value: sympy.Expr) -> bool:
    real, imaginary = value.as_real_imag()
    return bool(real.is_Number and real.is_finite) and _vanishes(imaginary)


def _vanishes(value: sympy.Expr) -> bool:
    """Is a computed value zero, or what sympy gives for zero: a number without a single sure digit?"""
    return value.is_zero or (value.is_Float and value._prec == 1)


def _no_digit(difference: sympy.Expr, attempt: int) -> bool:
    value = difference.evalf(3, subs=point(difference.free_symbols, attempt), maxn=DIGITS)
    if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo):
        return False
    return all(map(_vanishes, value.as_real_imag()))


def proportional(f: sympy.Expr, g: sympy.Expr, *, positive: bool = False) -> bool:
    """Is f a constant times g, not zero (above zero, if `positive`)? So `f = 0` says what `g = 0` says."""
    if not positive:
        f, g = (sympy.fraction(sympy.together(side))[0] for side in (f, g))
    if not f.free_symbols or f.free_symbols != g.free_symbols:
        return False
    at_first = [side.subs(point(side.free_symbols, 0)) for side in (f, g)]
    if any(_no_digit(value, 0) for value in at_first):
        return False
    ratio = (at_first[0] / at_first[1]).evalf(15)
    if positive and not (ratio.is_Float and ratio > 0):
        return False
    return same_value(f * at_first[1], g * at_first[0])
