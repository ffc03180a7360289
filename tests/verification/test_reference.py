"""References that their data set says more of: a unit, an error bound, one answer or several."""

from dataclasses import replace

import pytest

from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError
from rlvr.verification import verify
from rlvr.verification.equivalence import judge
from rlvr.verification.reference import Reference, references_of

MINUTES, LENGTH = Reference("45", unit="minute"), Reference(r"$\frac{41}{12}$", unit="km")
PER_CENT = Reference("4.2", unit="%", error_bound="1e-1", several=False, kind="Numerical")
BOUND = Reference("4.2", error_bound="0.1")
TUPLE, INTERVAL = Reference("(1,2)", kind="Tuple"), Reference("(1,2)", kind="Interval")
LIST, NUMBER = Reference("1,200", several=True), Reference("1,200", several=False)

CASES = [
    (MINUTES, "45", True), (MINUTES, r"45\text{ min}", True), (MINUTES, "45 minutes", True),
    (MINUTES, r"\frac34\text{ hours}", True), (MINUTES, "45 seconds", False), (MINUTES, "45 km", False),
    (MINUTES, "45 hours", False), (MINUTES, "0.75", False),
    (LENGTH, r"\frac{41}{12}", True), (LENGTH, r"\frac{41}{12} km", True),
    (LENGTH, r"\frac{41}{12} s", False),
    (Reference("166", unit="$cm^2$"), r"166\text{ cm}^2", True),
    (Reference("166", unit="$cm^2$"), r"166\text{ cm}^3", False),
    (Reference("90", unit=r"^{\circ}"), r"90^\circ", True),
    (Reference("90", unit=r"^{\circ}"), r"\frac\pi2", False),
    (Reference("7", unit="chapter"), "7", True), (Reference("7", unit="chapter"), "7 km", True),
    (PER_CENT, "4.2", True), (PER_CENT, r"4.2\%", True), (PER_CENT, r"4.16\%", True),
    (PER_CENT, "r=4.16", True),
    (PER_CENT, "4.1", True), (PER_CENT, "4.3", True), (PER_CENT, "0.042", True),
    (PER_CENT, "4.31", False), (PER_CENT, "4.09", False), (PER_CENT, "0.0416", False),
    (PER_CENT, "-4.2", False),
    (BOUND, r"\frac{17}{4}", True), (BOUND, r"4.15\%", False), (BOUND, r"4.2\text{ km}", True),
    # 4.123..., a sum that is 4.2 for one x, an interval, a list and a tuple are no numbers within the bound
    (BOUND, r"\sqrt{17}", False), (BOUND, "4.2+x-x^2", False), (BOUND, "[4.1,4.3]", False),
    (BOUND, "4.15,4.2", False), (BOUND, "(4.2,4.2)", False), (BOUND, r"4.2\pm0.1", False),
    (BOUND, "4.1<r<4.3", False),
    (BOUND, r"\text{about }4.2", False), (BOUND, "4.25!", False), (BOUND, "4.21 million", False),
    (Reference(r"\sqrt{17}", error_bound="0.1"), "4.1", False),
    (Reference("word", error_bound="9"), "work", False),
    (Reference("(4.2,1)", error_bound="0.1"), "(4.25,1)", False),
    (TUPLE, "(1,2)", True), (TUPLE, "1,2", True), (TUPLE, "1<x<2", False),
    (TUPLE, r"(1,1.5]\cup[1.5,2)", False),
    (INTERVAL, "(1,2)", True), (INTERVAL, "1<x<2", True), (INTERVAL, "1,2", False),
    (LIST, "200,1", True), (LIST, "1200", False), (NUMBER, "1200", True), (NUMBER, "200,1", False),
    (Reference("16,3,1,1", several=True), "1,16,1,3", True),
    (Reference("16,3,1,1", several=True), "16,3,1", False),
    (Reference("$(1,8,19), (2,7,13)$", several=True, kind="Tuple"), "(2,7,13), (1,8,19)", True),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "answer", "right"), CASES)
def test_an_answer_is_judged_by_what_the_data_set_says(reference: Reference, answer: str, right: bool):
    assert judge(reference, rf"\boxed{{{answer}}}") is (Verdict.CORRECT if right else Verdict.WRONG)


def problem(**metadata: object) -> Problem:
    return Problem("set/1", "set", ({"role": "user", "content": "?"},), "4.2", "math", metadata)


def test_the_bound_of_a_problem_is_its_own():
    texts = [r"\boxed{4.16\%}", r"\boxed{4.3}", r"\boxed{\sqrt{17}}", r"\boxed{7}", "no box"]
    told = {"error_bound": "1e-1", "unit": "%", "answer_type": "Numerical", "several_answers": False}
    problems = [problem(**told), problem(), problem(alternatives=[r"\sqrt{17}", "7"], level=3)]
    groups = [Group(p, [], [Completion([], [], text, "stop", 0) for text in texts]) for p in problems]
    verify(groups)
    C, W, N = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER
    assert [g.verdicts for g in groups] == [[C, C, W, W, N], [W, W, W, W, N], [W, W, C, C, N]]


def test_a_reference_without_more_is_a_text_and_a_bound_a_number():
    assert references_of(problem(level=3)) == ["4.2"]
    assert references_of(problem(unit="%")) == [Reference("4.2", unit="%")]
    for bound in ("-1", "about 1", "1/0", "inf"):
        with pytest.raises(UserError, match=r"problem set/1: error_bound=.* accepted is a number, 0 or more"):
            references_of(replace(problem(), metadata={"error_bound": bound}))
