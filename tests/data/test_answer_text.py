import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.data.answer_text import MAX_TAIL, excess, final_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{1}.", "1"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed {x}", "x"),
        (r"\fbox{7}", "7"),
        (r"\\boxed{3}", "3"),  # a backslash too many, as in a string literal
        (r"$\boxed{\{1,2\}}$", r"\{1,2\}"),  # escaped braces group nothing
        (r"\boxed{a\\b}", r"a\\b"),
        (r"\boxed{}", ""),
        (r"} } \boxed{4} }", "4"),
        (r"{ \boxed{4}", "4"),
        ("the box says " + r"\boxed{8}", "8"),
        (r"\boxed{1}, no: \boxed{2}", "2"),  # the last one counts
        (r"\boxed{2}, no: \boxed{1}", "1"),
        (r"\boxed{x = \boxed{5}}", "5"),
        (r"\boxed{1}, then \boxed{2", "1"),  # the last one that closes
        (r"\boxed{5}. I put it in \boxed{}.", "5"),  # an empty one is passed over
        (r"\boxed 5 ", "5"),  # TeX boxes the next thing
        (r"\boxed -25.", "-25"),
        (r"\boxed x.", "x"),
        (r"\boxed{1}, no: \boxed 2", "2"),
        (r"\boxed two", None),
        (r"\boxed{1", None),
        ("The final answer is $5$. I hope it is correct.", None),
        ("boxed{5}", None),
        ("", None),
    ],
)
def test_final_answer(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


def test_an_answer_has_to_begin_near_the_end() -> None:
    assert final_answer(r"\boxed{1}" + " " * (MAX_TAIL - 9)) == "1"
    assert final_answer(r"\boxed{1}" + " " * (MAX_TAIL - 8)) is None


balanced = st.recursive(
    st.text("ab1 +^_\\"[:-1], max_size=6),
    lambda inner: st.tuples(inner, inner).map(lambda two: f"{{{two[0]}}}{two[1]}"),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(before=st.text("ab{}$ \n"), content=balanced, after=st.text("ab{}$ \n"))
def test_what_was_boxed_comes_out(before: str, content: str, after: str) -> None:
    assert final_answer(rf"{before}\boxed{{{content}}}{after}") == content


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("1" * 301, "300 characters"),
        ("1" * 61, "60 digits"),
        ("(" * 11 + ")" * 11, "nested"),
        (r"\{[(" * 4, "nested"),
        ("+".join(f"x^{i % 10}" for i in range(31)), "30 powers"),
        ("|" * 9, "8 bars"),
        ("9**9**9**9", "tower"),
        ("10^{10^{10}}", "tower"),
        ("9^{(9)^{9}}", "tower"),
        ("9^{(4+5)^{9}}", None),  # not seen; the deadline is there for it
        ("2^{10000}", "exponent"),
        ("10^{10,000,000}", "exponent"),
        ("2^{100!}", "exponent"),
        ("x^y^z", "without braces"),
        ("100000!", "factorial"),
        ("5!!", "factorial"),
        ("(2^{10})!", "factorial"),
        # Ordinary answers stay.
        ("2^{2005}", None),
        ("9" * 60, None),
        ("2004!", None),
        ("e^{x^2}", None),
        ("2^{2^n}", None),
        ("(x^2)^3", None),
        ("x^{2}y^{3}", None),
        ("x^2, 1000", None),
        (r"\frac{10!}{5!5!}", None),
        (r"e^{-\frac{x^2}{2}}", None),
        (r"6.63\times 10^{-34}", None),
        ("|x|+|y|=1", None),
        (r"\left(\frac{1}{2},\frac{\sqrt{3}}{2}\right)", None),
        ("+".join(f"{i}x^{{{i}}}" for i in range(25)), None),
    ],
)
def test_excess(answer: str, reason: str | None) -> None:
    found = excess(answer)
    assert found is None if reason is None else reason in found
