import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t

from rlvr.tables.holm import holm_intervals

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
