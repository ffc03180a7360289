"""Answers meant to hang, crash, fool or break into the verifier, and references checked beforehand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvr.data import Verdict
from rlvr.verification.pool import VerifierPool
from rlvr.verification.references import check_references
from rlvr.verification.throughput import HOSTILE, REFERENCES, ordinary


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
    ("reference", "answer"),
    [
        (r"\frac{1}{3}", "9^{(4+5)^{(4+5)^{9}}}"),
        pytest.param("x=3", "x^{97}+x^{61}+x-1=0", marks=pytest.mark.slow),
    ],
)
def test_what_the_limits_do_not_see_ends_at_the_deadline(reference: str, answer: str) -> None:
    with VerifierPool(1, deadline_seconds=2) as pool:
        pairs = [(reference, rf"\boxed{{{answer}}}"), (r"\frac{1}{2}", r"\boxed{0.5}")]
        assert pool.verify(pairs) == [Verdict.TIMEOUT, Verdict.CORRECT]


@pytest.mark.parametrize(
    "answer",
    [
        r"\max(\ln(-9580),-3292)",
        r"\sum_{k=681}^{\infty}k",
        r"\tan\prod_{k=\infty}^{-100}k",
        r"\sqrt{\begin{pmatrix}n\\2\end{pmatrix}}",
        r"\sin(\lceil 5\rceil)\begin{pmatrix}1&2\end{pmatrix}",
    ],
)
def test_what_fuzzing_found_to_break_sympy_is_an_error(answer: str, pool: VerifierPool) -> None:
    before = pool.replaced
    assert pool.verify([("x+1", rf"\boxed{{{answer}}}"), ("x+1", r"\boxed{1+x}")])[1] is Verdict.CORRECT
    assert pool.verify([("130", rf"\boxed{{{answer}}}")]) == [Verdict.ERROR]
    assert pool.replaced == before


def test_references_are_checked(pool: VerifierPool) -> None:
    references = ["42", r"\frac{1}{2}", "Evelyn", "12:00", "x^2+1", "", r"\frac{1}", r"\frac{1}{0}", "9" * 61]
    assert check_references(references, pool) == [
        (5, "is empty"),
        (6, "cannot be parsed"),
        (7, "cannot be compared"),
        (8, "a number of more than 60 digits"),
    ]
