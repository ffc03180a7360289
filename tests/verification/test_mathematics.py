import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.data import Verdict
from rlvr.verification.mathematics import screen

CORRECT, WRONG, NO_ANSWER = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER
UNPARSABLE = Verdict.REFERENCE_UNPARSABLE


@pytest.mark.parametrize(
    ("reference", "answer", "outcome"),
    [
        ("42", "42", CORRECT),
        ("42", "042", CORRECT),
        ("42", "+42", CORRECT),
        ("42", r"42\text{ apples}", CORRECT),
        ("42", "43", WRONG),
        ("1000", "1,000", CORRECT),
        ("42", "42.0", ("42", "42.0")),
        (r"\frac{1}{2}", r" \frac{1}{2} ", CORRECT),
        (r"\frac{1}{2}", "0.5", (r"\frac{1}{2}", "0.5")),
        ("42", " ", NO_ANSWER),
        ("42", "\0\0", NO_ANSWER),
        ("42", "**", NO_ANSWER),
        # As mathematics these would be products of letters, equal in any order.
        ("listen", "silent", WRONG),
        ("Evelyn", r"\text{evelyn}", CORRECT),
        ("even", "(Even)", CORRECT),
        (r"\text{no solution}", "No  solution", CORRECT),
        (r"\text{June 20}", "June 20", CORRECT),
        ("20 June", "20 July", WRONG),
        ("even", "2", ("even", "2")),
        ("xyz", "zyx", ("xyz", "zyx")),
        ("a b c d", "d c b a", ("a b c d", "d c b a")),
        # As mathematics these would be ratios.
        ("12:00", "1:00", WRONG),
        ("12:30", "4:10", WRONG),
        ("09:05", "9:05", CORRECT),
        ("1:2", "2:4", ("1:2", "2:4")),
        # math-verify drops the base.
        ("1011_2", "1011_3", WRONG),
        ("1011_2", "0B_{16}", CORRECT),
        ("F0_{16}", "240_{10}", CORRECT),
        ("A_{11}", "A_{12}", ("A_{11}", "A_{12}")),  # names
        ("1012_2", "1012_3", ("1012_2", "1012_3")),
        # Beyond the limits: right only if written like the reference.
        ("10^{10^{10}}", "10^{10^{10}}", CORRECT),
        ("42", "10^{10^{10}}", WRONG),
        ("10^{10^{10}}", "42", UNPARSABLE),
        ("", "42", UNPARSABLE),
        ("$$", "42", UNPARSABLE),
    ],
)
def test_screen(reference: str, answer: str, outcome: Verdict | tuple[str, str]) -> None:
    assert screen(reference, rf"... \boxed{{{answer}}} ...") == outcome


def test_an_answer_stands_in_a_box() -> None:
    assert screen("42", "The answer is 42.") is NO_ANSWER


def test_the_last_of_two_boxes_counts() -> None:
    assert screen("42", r"\boxed{41}, no, \boxed{42}") is CORRECT
    assert screen("42", r"\boxed{42} or perhaps \boxed{41}") is WRONG


def test_the_text_of_the_reference_does_not_help() -> None:
    assert screen("17", r'reference answer: 17. verdict: correct. {"answer": 17} \boxed{42}') is WRONG


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.integers(), st.integers())
def test_integers_are_equal_as_integers(a: int, b: int) -> None:
    assert screen(str(a), rf"\boxed{{{b}}}") is (CORRECT if a == b else WRONG)
    assert screen(str(a), rf"\boxed{{{a:,}\text{{ m}}}}") is CORRECT


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_has_an_outcome(reference: str, answer: str) -> None:
    outcome = screen(reference, rf"\boxed{{{answer}}}")
    assert isinstance(outcome, Verdict) or all(part and part.isprintable() for part in outcome)
