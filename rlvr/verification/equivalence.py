r"""Are two expressions equal: math-verify, with guards where it is known to say yes too easily.

Runs only inside the workers of `pool`: an expression can be small and its value beyond any machine,
so whoever calls `compare` must be ready to be killed. math-verify's own alarms are off for that reason.
"""

import logging
import warnings
import zlib
from functools import lru_cache

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy.core.function import AppliedUndef

from rlvr.data import Verdict
from rlvr.verification import two_stage
from rlvr.verification.mathematics import screen

two_stage.install()
logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that its alarms are off

RELATIVE_TOLERANCE = 5e-4

Expression = sympy.Basic | sympy.MatrixBase | str

# Boxes first and no guessing without one, as math-verify's authors advise for rewards. Its list of units
# is off, because it takes variables for units (`3c` = `3t` = `3`); `answers.normal_form` removes units.
_BOXED = (
    LatexExtractionConfig(
        boxed_match_priority=0,
        try_extract_without_anchor=False,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="last"
        ),
    ),
)


def compare(reference: str, answer: str) -> Verdict:
    """Is `answer` what `reference` means? Both in `answers.normal_form`.

    A sign of per cent on one side only may stand or fall: 9% is right for a reference of 9 or of 0.09.
    Returns CORRECT, WRONG (also for an answer that cannot be parsed) or REFERENCE_UNPARSABLE; raises
    what sympy raises when it fails on the comparison itself.
    """
    gold = reference.rstrip("%")
    if all(isinstance(reading, str) for reading in _parse(gold)):
        return Verdict.REFERENCE_UNPARSABLE
    readings = [(gold, answer.rstrip("%"))]
    if reference.endswith("%") != answer.endswith("%"):
        readings.append((_as_hundredths(reference), _as_hundredths(answer)))
    return Verdict.CORRECT if any(_equal(*reading) for reading in readings) else Verdict.WRONG


def judge(reference: str, text: str) -> Verdict:
    """The verdict on a completion, in this process and without any deadline: for trying things out."""
    outcome = screen(reference, text)
    return outcome if isinstance(outcome, Verdict) else compare(*outcome)


def _as_hundredths(expression: str) -> str:
    return rf"\frac{{{expression[:-1]}}}{{100}}" if expression.endswith("%") else expression


def _equal(reference: str, answer: str) -> bool:
    gold, target = _parse(reference), _parse(answer)
    if gold and target and (numbers_differ(gold[0], target[0]) or _unfinished(gold[0], target[0])):
        return False
    # The order matters: math-verify reads the answer in the light of the reference, not the reverse.
    return verify(gold, target, timeout_seconds=None, raise_on_error=True)


@lru_cache(maxsize=4096)  # the completions of a group share their reference
def _parse(expression: str) -> list[Expression]:
    return parse(rf"\boxed{{{expression}}}", _BOXED, parsing_timeout=None)


def numbers_differ(gold: Expression, target: Expression) -> bool:
    """Do numerical values show that two expressions differ? False where they show nothing.

    Values are compared to RELATIVE_TOLERANCE: those of formulas at one arbitrary point, those of pairs
    and sets element by element, that of `x = 3` by its right side. This spares most wrong
    answers the costly symbolic comparison, and it corrects math-verify, which rounds to six
    decimals, so that 6.6e-34 equals 1.6e-19 there.
    """
    if isinstance(gold, sympy.Eq) and isinstance(target, sympy.Eq) and gold.lhs != target.lhs:
        return False
    golds, targets = _values(gold), _values(target)
    if golds is None or targets is None:
        return False
    return len(golds) != len(targets) or any(
        abs(a - b) > RELATIVE_TOLERANCE * max(abs(a), abs(b))
        for a, b in zip(sorted(golds), sorted(targets), strict=True)
    )


def _unfinished(gold: Expression, target: Expression) -> bool:
    """Does the answer leave to the verifier work of which numbers do not show the result?

    An integral, sum, product, limit or derivative that the reference does not have is no answer then, and
    sympy may never come to its end.
    """
    return _has_work(target) and not _has_work(gold) and _values(target) is None


def _has_work(expression: Expression) -> bool:
    return isinstance(expression, sympy.Basic) and expression.has(
        sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative
    )


def _values(expression: Expression) -> list[sympy.Float] | None:
    if isinstance(expression, sympy.Eq) and isinstance(expression.lhs, sympy.Symbol | AppliedUndef):
        expression = expression.rhs
    if isinstance(expression, sympy.FiniteSet | sympy.Tuple | sympy.Interval):
        parts = expression.args[:2] if isinstance(expression, sympy.Interval) else expression.args
        values = [_values(part) for part in parts]
        return None if None in values else [value for part in values for value in part]
    value = _value(expression) if isinstance(expression, sympy.Expr) and not expression.is_Symbol else None
    return None if value is None else [value]


@lru_cache(maxsize=4096)
def _value(expression: sympy.Expr) -> sympy.Float | None:
    """The value of a formula at one arbitrary point, or None if it is no real number there."""
    if any(len(limit) == 1 for integral in expression.atoms(sympy.Integral) for limit in integral.limits):
        return None  # without bounds it has no value, which sympy takes long to find out
    point = {symbol: _coordinate(symbol.name) for symbol in expression.free_symbols}
    value = expression.evalf(15, subs=point)
    # A precision of one bit is sympy's way to say that all digits cancelled.
    return value if value.is_Number and value.is_finite and value._prec > 1 else None


def _coordinate(name: str) -> sympy.Rational:
    """A number between 1/4 and 3/4 for a variable: positive, less than one, and its own."""
    return sympy.Rational(25_000_003 + zlib.crc32(name.encode()) % 50_000_000, 100_000_000)


def warm_up() -> None:
    """Compare one expression of each common kind: the parser's tables are built at first use, slowly."""
    warnings.simplefilter("ignore")
    for reference, answer in _COMMON:
        compare(reference, answer)


_COMMON = (
    (r"\frac{3}{4}", "0.75"),
    (r"-\frac{\sqrt{3}}{2}", r"\frac{1}{2}\sqrt[3]{5}"),
    (r"\frac{\pi}{4}+2\pi", r"\arctan 1"),
    (r"3\sqrt{2}-1", r"\sqrt{18}-1"),
    ("x^2+2x+1", "(x+1)^2"),
    (r"\frac{n(n+1)}{2}", r"\frac{n^{2}+n}{2}"),
    ("y=2x-1", "2x-1"),
    ("x^2+y^2=1", "y^2-1=-x^2"),
    (r"f(x)=\frac{x}{x-1}", r"\frac{x}{x-1}"),
    ("(1,2)", "(1,3)"),
    (r"[0,\infty)", r"(-\infty,1]\cup\{2\}"),
    (r"\{1,2,3\}", "1,2,3"),
    (r"x=1,x=2", r"x \in \{1,2\}"),
    (r"1<x\le 2", r"x>1"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    (r"\sin^2 x+\cos(2x)", r"\cos^2 x"),
    (r"\log_2 8+\ln 3", r"e^{-2x}"),
    (r"\binom{5}{2}+5!", "130"),
    (r"2^{10}\cdot 3", r"3\times 10^{3}"),
    (r"90^\circ", r"\text{right}"),
    (r"\pm 2", r"|x|"),
    (r"\overline{AB}", r"\left(\frac{1}{2},-3\right)"),
    (r"1+2i", r"\sqrt{-1}"),
    ("a_1+a_{n+1}", "C"),
)
