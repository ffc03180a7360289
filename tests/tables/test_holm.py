from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

from rlvr.evaluation.significance import holm_intervals
from rlvr.tables.claims import Difference, Finding, holm_corrected
from rlvr.tables.claims_page import markdown, summary

WIDTH = norm.ppf(0.975)


def test_the_steps_by_hand():
    """z of 4, 2.2 and 1 with many degrees of freedom: 0.05/3, then 0.05/2, at which the second fails."""
    values, error = [4.0, 2.2, 1.0], 1.0
    found = holm_intervals(
        values, [v - WIDTH * error for v in values], [v + WIDTH for v in values], [10**6] * 3
    )
    halves = [norm.ppf(1 - 0.05 / 6), norm.ppf(1 - 0.05 / 4), norm.ppf(1 - 0.05 / 4)]
    # 2 (1 - Phi(2.2)) = 0.0278 > 0.025
    expected = [(value - half, value + half) for value, half in zip(values, halves, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_third_gets_the_whole_level_where_all_are_rejected():
    values = [5.0, 4.0, 2.0]
    found = holm_intervals(values, [v - WIDTH for v in values], [v + WIDTH for v in values], [10**6] * 3)
    assert found[2][0] == pytest.approx(2.0 - norm.ppf(0.975), rel=1e-4)


def test_few_seeds_and_what_was_not_measured_widen():
    """One difference of a family of four, five seeds: t with 4 degrees at 0.05 / 4."""
    ((low, high),) = holm_intervals([1.0], [1 - WIDTH], [1 + WIDTH], [4], number=4)
    half = student_t.ppf(1 - 0.05 / 8, 4)
    assert (low, high) == (pytest.approx(1 - half), pytest.approx(1 + half))


def test_no_difference_at_all():
    assert holm_intervals([], [], [], []) == []


def finding(claim: str, value: float, seeds: str = "1 2 3 4 5") -> Finding:
    """One difference with a standard error of 1."""
    return Finding(
        claim, "", (), (Difference("", "points", value, value - WIDTH, value + WIDTH, seeds=(seeds, "1")),)
    )


def test_verdicts_are_those_of_the_corrected_intervals():
    """t of 4 degrees at 0.05 / 2 / 3 is 3.96 and at 0.05 / 2 / 2 3.50: 3.2 fails there, and 3 with it."""
    found = holm_corrected([finding("A", 9.0), finding("B", 3.0), finding("C", -3.2)])
    assert [item.verdict for item in found] == ["shown", "not shown", "not shown"]
    assert found[0].differences[0].low == pytest.approx(9 - student_t.ppf(1 - 0.05 / 6, 4))


def test_a_difference_that_two_claims_state_counts_once():
    """A family of two, then: t of 4 degrees at 0.05 / 2 / 2 is 3.50; of three it would be 3.96."""
    found = holm_corrected([finding("A", 9.0), finding("also A", 9.0), finding("B", 0.5)])
    half = student_t.ppf(1 - 0.05 / 4, 4)
    assert [item.differences[0].low for item in found[:2]] == [pytest.approx(9 - half)] * 2


def test_the_same_words_of_two_tables_that_have_not_run_are_two():
    """A family of three: what is said of either table is not known to be the same."""
    pending = [Finding(t, "", (t,), (Difference("a - b", "points", table=t),)) for t in ("one", "other")]
    found = holm_corrected([finding("A", 9.0), *pending])
    assert found[0].differences[0].low == pytest.approx(9 - student_t.ppf(1 - 0.05 / 6, 4))


def test_degrees_of_freedom_are_the_files_where_it_has_them():
    """t of 60 degrees at 0.05 / 2 / 2 is 2.30, where 4 degrees take 3.50."""
    plain = [finding("A", 3.2), finding("B", 0.5)]
    assert [item.verdict for item in holm_corrected(plain)] == ["not shown", "not shown"]
    (difference,) = plain[0].differences
    known = replace(plain[0], differences=(replace(difference, freedom=60.0),))
    assert [item.verdict for item in holm_corrected([known, plain[1]])] == ["shown", "not shown"]


def test_a_paragraph_tells_what_is_shown():
    told = summary(holm_corrected([finding("A", 9.0), finding("B", 0.5), finding("C", -8.0)]))
    assert told.startswith("**To act on**: *shown*: A. *opposite*: C. Of all others nothing is shown")
    assert "no claim is shown" in summary(holm_corrected([finding("B", 0.5)]))


def test_what_has_not_run_is_said_to_be_pending_and_counts():
    missing = Finding("B", "", (), (Difference("", "points"),))
    found = holm_corrected([finding("A", 3.4), missing])
    assert found[0].verdict == "not shown"  # alone it would be: t of 4 degrees at 0.05 / 2 is 2.78
    assert summary(found).startswith("**The run is pending**: 1 of 2 claims have not run.")


def test_a_plain_page_has_the_verdicts_of_all_together_beside_its_own():
    """The normal quantile is 2.24 at 0.05 / 2 / 2 and 1.96 at 0.05 / 2: 2.1 fails beside another alone."""
    found = holm_corrected([finding("A", 2.1), finding("B", 0.5)], student=False)
    assert [item.verdict for item in found] == ["not shown", "not shown"]
    assert finding("A", 2.1).verdict == "shown"
    found = holm_corrected([finding("A", 2.1), finding("B", 2.3)], student=False)
    assert [item.verdict for item in found] == ["shown", "shown"]
    page = markdown("T", "p", "laptop", [replace(finding("A", 2.1), corrected="not shown")])
    assert "| | claim | verdict | all together | declared |" in page
    assert "| 1 | A | shown | not shown |  |" in page
