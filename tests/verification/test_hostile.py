"""Answers meant to hang, crash, fool or break into the verifier, and references checked beforehand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvr.data import Verdict
from rlvr.verification.pool import VerifierPool
from rlvr.verification.references import check_references
from tests.attack.throughput import HOSTILE, REFERENCES, ordinary


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(2, deadline_seconds=60) as pool:
        yield pool


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_wrong_and_costs_no_worker(name: str, pool: VerifierPool) -> None:
    before = pool.replaced
    verdicts = pool.verify([(reference, rf"\boxed{{{HOSTILE[name]}}}") for reference in REFERENCES])
    assert set(verdicts) <= {Verdict.WRONG, Verdict.NO_ANSWER}
    assert pool.replaced == before


def test_nothing_that_an_answer_says_is_executed(pool: VerifierPool) -> None:
    assert not Path("/tmp/owned").exists()


def test_ordinary_answers_are_judged_alike_with_and_without_hostile_ones(pool: VerifierPool) -> None:
    alone = ordinary(60, integers=True)
    hostile = [("x^2+1", rf"\boxed{{{answer}}}") for answer in HOSTILE.values()]
    mixed = [pair for pairs in zip(alone, (hostile * 2)[:60], strict=True) for pair in pairs]
    assert pool.verify(mixed)[::2] == pool.verify(alone)


@pytest.mark.parametrize(
    "answer",
    [
        "(-5)!",
        r"\max(\ln(-9580),-3292)",
        r"\sum_{k=681}^{\infty}k",
        r"\tan\prod_{k=\infty}^{-100}k",
        r"\sqrt{\begin{pmatrix}n\\2\end{pmatrix}}",
        r"\sin(\lceil 5\rceil)\begin{pmatrix}1&2\end{pmatrix}",
        r"\lfloor\pi^{9999}\rfloor",
        "9^{(4+5)^{(4+5)^{9}}}",
        "x^{97}+x^{61}+x-1=0",
        "((10^{999})^{999})^{999}",
        "e^{e^{9999}}",
    ],
)
def test_what_has_no_value_or_none_within_reach_is_wrong(answer: str, pool: VerifierPool) -> None:
    before = pool.replaced
    for reference in ("130", "x+1", r"\frac{29}{7}", "18.35", "x=3", "(1,2)"):
        assert pool.verify([(reference, rf"\boxed{{{answer}}}")]) == [Verdict.WRONG]
    assert pool.replaced == before


def test_one_right_answer_of_eight_is_an_eighth(pool: VerifierPool) -> None:
    """What breaks the comparison is wrong, or a policy would have its pass@1 from one answer alone."""
    breaking = ["(-5)!", r"\sum_{k=1}^{\infty} k", r"\int_{-1}^{1}\frac{1}{x}dx", r"\lfloor\pi^{9999}\rfloor"]
    texts = [r"\boxed{\sqrt{2}}", *(rf"\boxed{{{answer}}}" for answer in [*breaking, *breaking[:3]])]
    verdicts = pool.verify([(r"\sqrt{2}", text) for text in texts])
    assert verdicts == [Verdict.CORRECT] + 7 * [Verdict.WRONG]


def test_references_are_checked(pool: VerifierPool) -> None:
    references = ["42", r"\frac{1}{2}", "Evelyn", "12:00", "x^2+1", "E_1, E_2", "1e-34"]
    references += ["", r"\frac{1}", r"\frac{1}{0}", "9" * 61, "None"]
    assert check_references(references, pool) == [
        (7, "is empty"),
        (8, "cannot be parsed"),
        (9, "cannot be parsed"),
        (10, "a number of more than 60 digits"),
        (11, "is a missing value"),
    ]


@pytest.mark.parametrize("reference", [r"\frac{1}", r"\frac{1}{0}", "9" * 61])
def test_a_reference_that_cannot_be_judged_takes_its_problem_out(reference: str, pool: VerifierPool) -> None:
    """Exact matches too: every completion alike has no verdict."""
    verdicts = pool.verify([(reference, rf"\boxed{{{answer}}}") for answer in (reference, "7", "x+1")])
    assert verdicts == [Verdict.REFERENCE_UNPARSABLE] * 3
