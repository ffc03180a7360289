"""Are two values equal? Exactly for exact forms, within a stated tolerance for decimals, everywhere for formulas.

Two formulas are equal if no digit of their difference is found at any of POINTS points, to DIGITS digits: a test of
identities by points nobody chooses (Schwartz and Zippel). Points where neither formula is real count only if there
are no others; a point where just one is real tells them apart. Nothing is simplified and nothing is solved.
"""

import random
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

import sympy
from sympy import I, MatrixBase

from rlvr.verification.forms import Number
from rlvr.verification.latex import Value
from rlvr.verification.mathematics import RELATIVE_TOLERANCE

DIGITS = 120
POINTS = 4
_TRIES = 12

Point = dict[sympy.Symbol, sympy.Rational]


def approximates(number: Number, value: sympy.Expr) -> bool:
    """Does a decimal stand for an irrational value?"""
    if number.places is None or not value.is_number:
        return False
    digits = value.evalf(30)
    if not digits.is_Float or not digits.is_finite:
        return False
    exact = Fraction(str(digits))
    difference = abs(number.value - exact)
    return difference < Fraction(10) ** -number.places and difference <= RELATIVE_TOLERANCE * abs(exact)


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
    if a.is_Rational and b.is_Rational or a.is_infinite or b.is_infinite:
        return False
    symbols = a.free_symbols | b.free_symbols
    if not symbols:
        return _no_digit(a - b, {})
    return _same_everywhere(a, b, symbols)


def _same_everywhere(a: Value, b: Value, symbols: set[sympy.Symbol]) -> bool:
    complex_ = a.has(I) or b.has(I)
    compared, unreal = 0, []
    for point in points(symbols):
        if not complex_:
            real = [_is_real(side.evalf(15, subs=point)) for side in (a, b)]
            if real[0] != real[1]:
                return False
            if not real[0]:
                unreal.append(point)
                continue
        if not _no_digit(a - b, point):
            return False
        compared += 1
        if compared == POINTS:
            return True
    return compared > 0 or all(_no_digit(a - b, point) for point in unreal[:POINTS])


def points(symbols: set[sympy.Symbol]) -> Iterator[Point]:
    """Points for variables, always the same: of both signs, small and large, each variable's own."""
    for attempt in range(_TRIES):
        point = {}
        for variable in symbols:
            draw = random.Random(zlib.crc32(f"{variable.name} {attempt}".encode()))
            size = sympy.Rational(draw.randint(101, 997), draw.choice((97, 103, 211, 331)))
            point[variable] = size if attempt % 2 == 0 or draw.random() < 0.5 else -size
        yield point


def _is_real(value: sympy.Expr) -> bool:
    real, imaginary = value.as_real_imag()
    return bool(real.is_Number and real.is_finite) and _vanishes(imaginary)


def _vanishes(value: sympy.Expr) -> bool:
    """Is a computed value zero, or what sympy gives for zero: a number without a single sure digit?"""
    return value.is_zero or (value.is_Float and value._prec == 1)


def _no_digit(difference: sympy.Expr, point: Point) -> bool:
    value = difference.evalf(3, subs=point, maxn=DIGITS)
    if not value.is_number or value.has(sympy.nan, sympy.zoo, sympy.oo):
        return False
    return all(map(_vanishes, value.as_real_imag()))


def proportional(f: sympy.Expr, g: sympy.Expr, *, positive: bool = False) -> bool:
    """Is f a constant times g, not zero (and above zero, if `positive`)? So `f = 0` says what `g = 0` says."""
    f, g = (sympy.fraction(sympy.together(side))[0] for side in (f, g)) if not positive else (f, g)
    symbols = f.free_symbols | g.free_symbols
    if not symbols or f.free_symbols != g.free_symbols:
        return False
    first = next(points(symbols))
    at_first = [side.subs(first) for side in (f, g)]
    if any(_no_digit(value, {}) for value in at_first):
        return False
    ratio = (at_first[0] / at_first[1]).evalf(15)
    if positive and not (ratio.is_Float and ratio > 0):
        return False
    return _same_everywhere(f * at_first[1], g * at_first[0], symbols)
