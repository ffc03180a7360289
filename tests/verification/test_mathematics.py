import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rlvr.data import Verdict
from rlvr.verification.mathematics import screen
from rlvr.verification.notation import normal_form
from rlvr.verification.reading import readings

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
        ("42", "42.0", CORRECT),
        (r"\frac{1}{2}", "0.5", CORRECT),
        ("42", " ", NO_ANSWER),
        ("42", "\0\0", NO_ANSWER),
        ("42", "**", NO_ANSWER),
        ("listen", "silent", WRONG),
        ("even", "2", WRONG),
        ("12:30", "4:10", WRONG),
        ("1011_2", "1011_3", WRONG),
        # These take algebra.
        ("2", r"\sqrt{4}", ("2", r"\sqrt{4}")),
        ("xyz", "zyx", ("xyz", "zyx")),
        ("1:2", "2:4", ("1:2", "2:4")),
        ("A_{11}", "A_{12}", ("A_{11}", "A_{12}")),
        (r"\sqrt{2}", r"\sqrt2", (r"\sqrt{2}", r"\sqrt{2}")),  # the same text, but is the reference sound?
        # Beyond the limits.
        ("42", "10^{10^{10}}", WRONG),
        ("10^{10^{10}}", "42", UNPARSABLE),
        ("10^{10^{10}}", "10^{10^{10}}", UNPARSABLE),  # takes its problem out, whatever the answer
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
    if abs(a) < 10**40:  # beyond, a number has too many digits
        assert screen(str(a), rf"\boxed{{{a:,}\text{{ m}}}}") == (str(a), rf"{a:,}\text{{ m}}")
    assert screen(str(a), rf"\boxed{{{a:,}}}") is CORRECT


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
@example("90", r"90\text{^}")
@example("1011_2", "1e9999")
@example("90", "3_{}")
@example("3_{ }", "3_{ }")
def test_any_text_has_an_outcome(reference: str, answer: str) -> None:
    outcome = screen(reference, rf"\boxed{{{answer}}}")
    for text in filter(None, map(normal_form, (reference, answer))):
        assert readings(text)  # and `screen` does not have to call what can't be read wrong
    assert isinstance(outcome, Verdict) or all(part and part.isprintable() for part in outcome)


PIECES = r"""
    1 2.5 0 00 , : . ( ] { } \{ \frac \frac{1}{2} \sqrt ^ _ ^\circ \text{ \text{cm} \text{^} \text{m^2}
    \mathrm{ \pm < = \ne \in \cup \infty e i x m cm km/h % \% $ USD € million dozen half pm 9pm :05 _2
    _{16} F \pmod{ 7} and or not - / ! ' & \begin{pmatrix} \end{pmatrix} | \langle \emptyset ½ ² ₂ π ° １
    1/0 1e9999 E-5 2\frac{1}{2} 1,000 square per inch \overline{3} \dot3 \over \choose \boxed{ \phantom{
    _{} {} \mathbb{Z} \in\mathbb{Z} \frac{\text{m}}{\text{s}} \ldots \color{red} ⁄ ㎝"""
REFERENCES = ["5", "3.14159", "12:30", "1011_2", "2A_{16}", "Evelyn", "(1,2)", r"90^\circ", r"5\text{ cm}"]


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.sampled_from(REFERENCES), st.lists(st.sampled_from(PIECES.split()), min_size=1, max_size=8))
def test_any_pieces_of_answers_have_an_outcome(reference: str, pieces: list[str]) -> None:
    """The screen runs in the trainer itself, so nothing that a policy writes may raise there."""
    if text := normal_form("".join(pieces)):
        assert readings(text)
    outcome = screen(reference, rf"\boxed{{{''.join(pieces)}}}")
    assert isinstance(outcome, Verdict) or len(outcome) == 2
