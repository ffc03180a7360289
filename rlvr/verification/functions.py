"""What the names in a formula stand for, and the powers, factorials and numbers that stay within bounds."""

import math
import re
from collections.abc import Callable

import sympy
from sympy import I, MatrixBase, Rational

MAX_BITS = 200_000  # of a number
MAX_ROOT_BITS = 1000  # of a number under a root, whose factors are looked for
MAX_EXPANDED = 300  # terms of an expanded formula
MAX_FACTORIAL = 3000
MAX_ROWS = 4  # of a determinant of formulas
MAX_BOTTOM = 100  # of a binomial coefficient whose top is a formula

# what sympy raises where an operation has no value
NO_VALUE = (ArithmeticError, TypeError, ValueError, AttributeError, RecursionError, NotImplementedError)
Value = sympy.Expr | MatrixBase

_GREEK_NAMES = r"""
    \alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi \rho \sigma \tau
    \upsilon \phi \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega \ell
    \hbar \mho \partial \nabla \odot \oplus \aleph \top \bot \perp"""
GREEK = frozenset(_GREEK_NAMES.split())


class Unreadable(ValueError):
    """The text is no formula that this parser knows, or its value is none."""


def _inverse(function: type) -> object:
    return lambda x: function(1 / x)


_SYMPYS = "sin cos tan cot sec csc sinh cosh tanh coth sech csch exp sign floor erf"
FUNCTIONS = {
    **{name: getattr(sympy, name) for name in _SYMPYS.split()},
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "arccot": _inverse(sympy.atan), "arcsec": _inverse(sympy.acos), "arccsc": _inverse(sympy.asin),
    "tg": sympy.tan, "ctg": sympy.cot, "arctg": sympy.atan,
    "arsinh": sympy.asinh, "arcosh": sympy.acosh, "artanh": sympy.atanh,
    "ln": sympy.log, "lg": lambda x: sympy.log(x, 10), "sgn": sympy.sign, "ceil": sympy.ceiling,
    "Re": lambda x: sympy.re(expanded(x)), "Im": lambda x: sympy.im(expanded(x)), "abs": sympy.Abs,
    "arg": lambda x: sympy.arg(expanded(x)), "cis": lambda x: sympy.cos(x) + I * sympy.sin(x),
}  # fmt: skip


def _of_integers(function: Callable[..., int]) -> Callable[..., sympy.Integer]:
    def applied(*values: Value) -> sympy.Integer:
        if not all(value.is_Integer for value in values):
            raise Unreadable("a common divisor or multiple of what is no integer")
        return sympy.Integer(function(*values))

    return applied


CONSTANTS = {
    "e": sympy.E, r"\text{e}": sympy.E, "i": I, r"\text{i}": I, r"\pi": sympy.pi, r"\infty": sympy.oo
}  # fmt: skip
SEVERAL = {
    "max": sympy.Max, "min": sympy.Min, "gcd": _of_integers(sympy.igcd), "lcm": _of_integers(sympy.ilcm)
}  # fmt: skip
INVERSES = {name: FUNCTIONS[f"arc{name}"] for name in ("sin", "cos", "tan", "cot", "sinh", "cosh", "tanh")}
ANGULAR = frozenset(["sin", "cos", "tan", "cot", "sec", "csc", "tg", "ctg", "cis"])


def symbol(name: str) -> sympy.Symbol:
    """A real variable; spaces, braces and the font of an index are no part of its name."""
    return sympy.Symbol(re.sub(r"(?<=_)\\text(?=\s*\{)|[\s{}]", "", name), real=True)


def finite(value: Value) -> Value:
    """The value, if it is one."""
    if isinstance(value, MatrixBase):
        for cell in value:
            finite(cell)
    elif not isinstance(value, sympy.Expr) or value.has(sympy.nan, sympy.zoo):
        raise Unreadable("no value")
    return value


def _bits(value: Value) -> int:
    return max(value.p.bit_length(), value.q.bit_length()) if value.is_Rational else 8


def times(a: Value, b: Value) -> Value:
    """A product, unless it is a matrix of long formulas."""
    product = a * b
    if isinstance(product, MatrixBase) and any(cell.count_ops() > MAX_EXPANDED for cell in product):
        raise Unreadable("a matrix of long formulas")
    return product


def bounded(value: Value) -> Value:
    """A number, unless its digits would fill the memory."""
    if _bits(value) > MAX_BITS:
        raise Unreadable("a number with too many digits")
    return value


def power(base: Value, exponent: Value) -> Value:
    """base to the exponent, unless its digits would fill the memory."""
    if isinstance(base, MatrixBase):
        plain = all(cell.is_Rational for cell in base)
        # formulas double in length with each product, and an inverse has a determinant in each cell
        few = (base.rows <= 3 and exponent in (1, 2, 3, 4)) or (base.rows == 2 and exponent == -1)
        small = abs(exponent) <= 50 if plain else few
        if not exponent.is_Integer or not small:
            raise Unreadable("a power of a matrix")
        return base**exponent if plain else times(base**exponent, sympy.Integer(1))
    numbers = base.is_number and exponent.is_Rational
    if numbers and _bits(base) * (abs(exponent.p) // exponent.q + 1) > MAX_BITS:
        raise Unreadable("a number with too many digits")
    if numbers and base.is_Rational and not exponent.is_Integer and _bits(base) > MAX_ROOT_BITS:
        raise Unreadable("the root of a number with too many digits")
    return finite(base**exponent)


def expanded(value: Value) -> Value:
    """A formula multiplied out, if that is not too long."""
    if not isinstance(value, sympy.Expr):
        return value
    if _terms(value) > MAX_EXPANDED:
        raise Unreadable("a formula that is too long when multiplied out")
    return sympy.expand(value)


def _terms(value: sympy.Expr) -> int:
    """How many terms at most a formula has when multiplied out; any number above MAX_EXPANDED if too many."""
    if value.is_Add:
        return sum(map(_terms, value.args))
    if value.is_Mul:
        return math.prod(map(_terms, value.args))
    if value.is_Pow and value.exp.is_Integer and value.exp > 0:
        return min(_terms(value.base), MAX_EXPANDED) ** min(int(value.exp), MAX_EXPANDED)
    return 1


def determinant(matrix: MatrixBase) -> sympy.Expr:
    """The determinant, where it is numbers or small: the usual elimination divides by formulas, and hangs."""
    if all(cell.is_Rational for cell in matrix):
        return matrix.det()
    if matrix.rows > MAX_ROWS:
        raise Unreadable("a large determinant of formulas")
    return matrix.det(method="laplace")


def binomial(top: Value, bottom: Value) -> Value:
    """A binomial coefficient of small integers, or of formulas."""
    if top.is_number and bottom.is_number:
        small = top.is_Integer and bottom.is_Integer and bottom >= 0 and abs(top) < 10 * MAX_FACTORIAL
    else:
        small = not bottom.is_number or bottom <= MAX_BOTTOM
    if not small:
        raise Unreadable("a binomial coefficient that is too large")
    return sympy.binomial(top, bottom)


def factorial(value: Value) -> Value:
    """value!, for a formula or a natural number that is not too large."""
    if value.is_number and not (value.is_Integer and 0 <= value <= MAX_FACTORIAL):
        raise Unreadable("a factorial that is no number, or too large")
    return sympy.factorial(value)


def exact(number: str) -> Rational:
    r"""A number as it is written, exactly: `12`, `0.5`, `1e-9`, `0.1\overline{6}`."""
    if match := re.fullmatch(r"(\d*)\.(\d*)\\overline\s*\{(\d+)\}", number):
        whole, fixed, period = match.groups()
        over = int(whole + fixed + period) - int(whole + fixed or "0")
        return Rational(over, (10 ** len(period) - 1) * 10 ** len(fixed))
    return Rational(number.rstrip(".") if not number.endswith(("e", "E")) else number)
