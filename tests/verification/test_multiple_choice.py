import pytest

from rlvr.data import Problem, Verdict
from rlvr.verification.multiple_choice import verify_choice

CORRECT, WRONG, NO_ANSWER = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (r"\boxed{C}", CORRECT),
        (r"\boxed{c}", CORRECT),
        (r"\boxed{(C)}", CORRECT),
        (r"\boxed{\text{C}}", CORRECT),
        (r"\boxed{\textbf{(C)}}", CORRECT),
        (r"\boxed{\mathbf{C}}", CORRECT),
        (r"\boxed{**C**}", CORRECT),
        (r"\boxed{C.}", CORRECT),
        (r"\boxed{C. 4 eV}", CORRECT),
        (r"\boxed{C) 4 eV}", CORRECT),
        (r"\boxed{\text{Option C}}", CORRECT),
        (r"\boxed{Answer: C}", CORRECT),
        (r"\boxed{D}, no, \boxed{C}", CORRECT),
        (r"\boxed{C}, no, \boxed{D}", WRONG),
        (r"\boxed{C: 4 eV}", CORRECT),
        (r"\boxed{(C) 4 eV}", CORRECT),
        (r"\boxed{\textbf{(C)} 4 eV}", CORRECT),
        (r"\boxed{\text{(C).}}", CORRECT),
        (r"\boxed{C. E. coli}", CORRECT),
        (r"\boxed{C. none of the other options}", CORRECT),
        (r"\boxed{D. 4 eV}", WRONG),
        (r"\boxed{(D) vitamin C}", WRONG),
        (r"\boxed{C is wrong, the answer is B}", NO_ANSWER),
        (r"\boxed{C is right}", NO_ANSWER),
        (r"\boxed{C: wrong, the answer is B}", NO_ANSWER),
        (r"\boxed{\text{C} would need 4 eV}", NO_ANSWER),
        (r"\boxed{(C is wrong)}", NO_ANSWER),
        (r"\boxed{D, not C}", NO_ANSWER),
        (r"\boxed{C or D}", WRONG),
        (r"\boxed{C, D}", WRONG),
        (r"\boxed{(C) and (D)}", WRONG),
        (r"\boxed{C, a metal}", WRONG),
        (r"\boxed{A}", WRONG),
        (r"\boxed{E}", WRONG),
        (r"\boxed{Carbon}", NO_ANSWER),
        (r"\boxed{CD}", NO_ANSWER),
        (r"\boxed{4 eV}", NO_ANSWER),
        (r"\boxed{}", NO_ANSWER),
        ("The answer is C.", NO_ANSWER),
    ],
)
def test_one_letter_in_the_last_box(text: str, verdict: Verdict) -> None:
    problem = Problem(id="gpqa/1", source="gpqa", prompt=(), answer="C", verifier="choice")
    assert verify_choice(problem, text) is verdict


@pytest.mark.parametrize(
    ("reference", "verdict"),
    [("(C)", CORRECT), ("C.", CORRECT), (r"\text{c}", CORRECT), ("D", WRONG),
     ("4 eV", Verdict.REFERENCE_UNPARSABLE), ("", Verdict.REFERENCE_UNPARSABLE)],
)  # fmt: skip
def test_the_reference_is_read_as_an_answer_is(reference: str, verdict: Verdict) -> None:
    problem = Problem(id="gpqa/1", source="gpqa", prompt=(), answer=reference, verifier="choice")
    assert verify_choice(problem, r"\boxed{C}") is verdict
