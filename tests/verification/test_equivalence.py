"""What other verifiers get wrong (by math-verify's issue tracker, and found here), and what we return."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.data import Verdict
from rlvr.verification.equivalence import compare, judge

CORRECT, WRONG, UNPARSABLE = Verdict.CORRECT, Verdict.WRONG, Verdict.REFERENCE_UNPARSABLE


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        # It rounds to six decimals and cuts tiny differences to zero. We compare relative to the size.
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}", WRONG),
        (r"6.63\times 10^{-34}", r"1.6\times 10^{-19}", WRONG),
        (r"x=1.6\times 10^{-19}", r"x=2\times 10^{-19}", WRONG),
        (r"\{10^{-8}, 1\}", r"\{10^{-9}, 1\}", WRONG),
        ("1e-9", "0.000000001", CORRECT),
        (r"\frac{1}{3}", "0.333333", CORRECT),
        (r"\frac{1}{3}", "0.33", WRONG),
        # Equations were cut to one side; they no longer are, when both are equations.
        ("3x-y+13=0", "3x+4y+14=0", WRONG),
        ("2x-y+1=0", "y=2x+1", CORRECT),
        ("x^2+y^2=1", "y^2+x^2-1=0", CORRECT),
        ("x=2y", r"y=\frac{x}{2}", CORRECT),
        ("x=2y", "y=2x", WRONG),
        # An equation for a value is how policies name what was asked (`x+y=5`): its right side counts, but
        # not that of a line, or of what is no equation.
        ("5", "x=5", CORRECT),
        ("x=5", "5", CORRECT),
        ("0", "3x-y+13=0", WRONG),
        ("5", "1=5", WRONG),
        ("3x-y+13=0", "0", WRONG),
        ("f(x)=0", "0", CORRECT),
        # Markdown's bold is no mathematics: removed.
        ("73", "**73**", CORRECT),
        # A range in one way or the other.
        ("1<x<2", "(1,2)", CORRECT),
        ("(1,2)", "1<x<2", CORRECT),
        (r"x\ge 1", r"[1,\infty)", CORRECT),
        (r"[1,\infty)", r"x\ge 1", CORRECT),
        # A bare \dfrac was not parsed outside of a box; we always box the reference.
        (r"\dfrac{1}{2}", r"\frac12", CORRECT),
        # Its grammar breaks on per cent. A sign on one side only may stand or fall.
        (r"9\%", "9", CORRECT),
        ("9", r"9\%", CORRECT),
        (r"9\%", "0.09", CORRECT),
        ("0.09", r"9\%", CORRECT),
        (r"\frac{3}{4}", r"75\%", CORRECT),
        ("9", "0.09", WRONG),
        (r"9\%", r"0.09\%", WRONG),
        # It takes a variable at the end for a unit (c, t, s, d, ab) and drops it.
        ("3c", "3", WRONG),
        ("3", "3t", WRONG),
        ("5t", "5s", WRONG),
        ("2x+3d", "2x+3", WRONG),
        ("3ab", "3", WRONG),
        ("x + h", "h + x", CORRECT),
        (r"3\text{ hours } 20\text{ minutes}", r"3\text{ hours } 40\text{ minutes}", WRONG),
        # Unicode roots, full stops, spaces between thousands and repeating decimals were not read.
        (r"4\sqrt{2}", "4√2", CORRECT),
        (r"4\sqrt{2}", "4√(2)", CORRECT),
        ("7", "7.", CORRECT),
        ("1000", "1 000", CORRECT),
        (r"\frac{1}{3}", r"0.\overline{3}", CORRECT),
        # sqrt(1/n) = 1/sqrt(n) wherever both are real.
        (r"\sqrt{\frac{1}{n}}", r"\frac{1}{\sqrt{n}}", CORRECT),
        (r"\pm 2021", "2021", WRONG),
        ("2021", r"\pm 2021", WRONG),
        # The order of a list does not count, except between brackets; repeats do.
        ("1,2", "2,1", CORRECT),
        ("1,2,2", "1,2", WRONG),
        ("(1,2)", "(2,1)", WRONG),
        ("(1,2)", "1,2", CORRECT),
        ("[1,2]", "(1,2)", WRONG),
        (r"(1,2]\cup[3,4]", r"[3,4]\cup(1,2]", CORRECT),
        # Work left for the verifier is no answer; a short sum is added up.
        (r"\frac{x^2}{2}", r"\int x\,dx", WRONG),
        (r"\frac{1}{3}", r"\int_0^1 x^2\,dx", WRONG),
        ("55", r"\sum_{k=1}^{10} k", CORRECT),
        (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k", WRONG),
        # What cannot be parsed is wrong on the one side, and the reference's fault on the other.
        (r"\frac{1}{2}", r"\frac{1}", WRONG),
        (r"\frac{1}", r"\frac{1}{2}", UNPARSABLE),
    ],
)
def test_known_errors(reference: str, answer: str, verdict: Verdict) -> None:
    assert judge(reference, rf"\boxed{{{answer}}}") is verdict


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("x^2+2x+1", "(x+1)^2", CORRECT),
        ("x^2+2x+1", "(x+1)^2+1", WRONG),
        (r"\sin^2 x+\cos^2 x", "1", CORRECT),
        (r"\frac{n(n+1)}{2}", r"\frac{n^2+n}{2}", CORRECT),
        (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", CORRECT),
        ("2^{2005}", "2^{2005}+1", WRONG),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}", CORRECT),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}", WRONG),
        ("y=2x+1", "2x+1", CORRECT),
        ("f(x)=2x", "g(x)=2x", WRONG),
        ("x=1,x=2", "1,2", CORRECT),
        ("C", "(C)", CORRECT),
        (r"90^\circ", "90", CORRECT),
        (r"\emptyset", r"\{\}", CORRECT),
    ],
)
def test_ordinary_answers(reference: str, answer: str, verdict: Verdict) -> None:
    assert judge(reference, rf"\boxed{{{answer}}}") is verdict


polynomials = st.lists(st.integers(-9, 9), min_size=1, max_size=4)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(polynomials, polynomials, st.permutations(range(4)))
def test_polynomials_are_equal_when_their_coefficients_are(
    ours: list[int], theirs: list[int], order: list[int]
) -> None:
    def latex(coefficients: list[int], order: list[int]) -> str:
        return "+".join(rf"({coefficients[i]})\cdot x^{{{i}}}" for i in order if i < len(coefficients))

    def trimmed(coefficients: list[int]) -> list[int]:
        while coefficients and not coefficients[-1]:
            coefficients = coefficients[:-1]
        return coefficients

    verdict = compare(latex(ours, [0, 1, 2, 3]), latex(theirs, order))
    assert verdict is (CORRECT if trimmed(ours) == trimmed(theirs) else WRONG)
