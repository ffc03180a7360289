"""What the names in a formula stand for, and the powers, factorials and numbers that stay within bounds."""

import re

import sympy
from sympy import I, MatrixBase, Rational

MAX_BITS = 200_000  # of a number
MAX_FACTORIAL = 3000

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


FUNCTIONS = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec,
    "csc": sympy.csc,
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "arccot": _inverse(sympy.atan),
    "arcsec": _inverse(sympy.acos), "arccsc": _inverse(sympy.asin), "tg": sympy.tan, "ctg": sympy.cot,
    "arctg": sympy.atan, "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "coth": sympy.coth,
    "sech": sympy.sech, "csch": sympy.csch, "arcsinh": sympy.asinh, "arccosh": sympy.acosh,
    "arctanh": sympy.atanh, "arsinh": sympy.asinh, "arcosh": sympy.acosh, "artanh": sympy.atanh,
    "ln": sympy.log, "lg": lambda x: sympy.log(x, 10),
    "exp": sympy.exp, "sgn": sympy.sign, "sign": sympy.sign,
    "Re": sympy.re, "Im": sympy.im, "arg": sympy.arg, "floor": sympy.floor, "ceil": sympy.ceiling,
    "erf": sympy.erf, "cis": lambda x: sympy.cos(x) + I * sympy.sin(x), "abs": sympy.Abs,
}  # fmt: skip
SEVERAL = {"max": sympy.Max, "min": sympy.Min, "gcd": sympy.gcd, "lcm": sympy.lcm}
INVERSES = {"sin": sympy.asin, "cos": sympy.acos, "tan": sympy.atan, "cot": _inverse(sympy.atan),
             "sinh": sympy.asinh, "cosh": sympy.acosh, "tanh": sympy.atanh}  # fmt: skip
ANGULAR = frozenset(["sin", "cos", "tan", "cot", "sec", "csc", "tg", "ctg", "cis"])


def symbol(name: str) -> sympy.Symbol:
    """A real variable; spaces and braces are no part of its name."""
    return sympy.Symbol(re.sub(r"[\s{}]", "", name), real=True)


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


def power(base: Value, exponent: Value) -> Value:
    """base to the exponent, unless its digits would fill the memory."""
    if isinstance(base, MatrixBase):
        if not exponent.is_Integer or abs(exponent) > 50:
            raise Unreadable("a power of a matrix")
        return base**exponent
    numbers = base.is_number and exponent.is_Rational
    if numbers and _bits(base) * (abs(exponent.p) // exponent.q + 1) > MAX_BITS:
        raise Unreadable("a number with too many digits")
    return finite(base**exponent)


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
