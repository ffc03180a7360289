"""One spelling for what is written in many."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.verification.notation import UNKNOWN, normal_form


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (" 73 ", "73"),
        ("**73**", "73"),
        ("$73$", "73"),
        (r"\(73\)", "73"),
        ("73.", "73"),
        (r"73\\", "73"),
        ("7\u200f\u202e3\u202c\0", "73"),
        ("−8", "-8"),
        ("\u20118", "-8"),
        ("１２", "12"),
        ("١٢", "12"),
        ("x²", "x^{2}"),
        ("10⁻⁶", "10^{-6}"),
        ("x₁", "x_{1}"),
        ("2½", r"2\frac{1}{2}"),
        ("1⁄2", r"\frac{1}{2}"),
        ("（1，2）", "(1,2)"),
        ("2π", r"2\pi"),
        ("x ≤ 3", r"x \le 3"),
        (r"\leqslant", r"\le"),
        ("√12", r"\sqrt{12}"),
        ("4√(2)", r"4\sqrt{2}"),
        ("4sqrt(2)", r"4\sqrt{2}"),
        (r"\dfrac12", r"\frac12"),
        (r"x^{\prime}", "x'"),
        (r"90^{\circ}", r"90^\circ"),
        (r"90\degree", r"90^\circ"),
        (r"\mathbf{5}", "{5}"),
        (r"\mathrm{~cm}", r"\text{ cm}"),
        (r"\color{red}{13}", "{13}"),
        (r"4\phantom{0}2", "42"),
        (r"\left(1,2\right]", "(1,2 ]"),
        (r"29,\!322", "29,322"),
        (r"5 \quad 6", "5, 6"),
        (r"\$32", "USD 32"),
        ("3 x 10^8", r"3\times 10^8"),
        ("2**10", "2^10"),
        ("np.arcsin(1)", r"\arcsin (1)"),
        ("1, 2, ...", r"1, 2, \ldots"),
        (r"9\%", "9%"),
        (r"x\equiv 3 \pmod 7", r"x\equiv 3 \pmod{7}"),
        (r"\varnothing", r"\emptyset"),
        (r"\begin{pmatrix}1\\ 2\end{pmatrix}", r"\begin{pmatrix}1\\ 2\end{pmatrix}"),
        ("\u212a", UNKNOWN),  # the Kelvin sign, which would pass for a k
        ("4\ud8002", f"4{UNKNOWN}2"),  # half a character
    ],
)
def test_normal_form(answer: str, form: str) -> None:
    assert normal_form(answer) == form


mathematics = st.text("0123456789.,abcx+-*/^_%!|=<>()[]{}\\$ √π\0\u200f", max_size=40)


@settings(derandomize=True, max_examples=1000, deadline=None)
@given(mathematics | st.text(max_size=40))
def test_the_normal_form_is_printable(answer: str) -> None:
    form = normal_form(answer)
    assert form.isprintable()
    assert form == form.strip()
