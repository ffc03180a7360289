import numpy as np
import pandas as pd
import pytest

from rlvr.errors import UserError
from rlvr.evaluation.measures import covered, distinct_answers, log_k_area, lost_and_won, per_problem
from rlvr.evaluation.passk import pass_at_k


def test_cover_by_hand():
    """Rates 0, 1/4, 1/2 and 1."""
    n, c = np.full(4, 4), np.array([0, 1, 2, 4])
    assert covered(n, c, 0.25).tolist() == [0, 1, 1, 1]
    assert covered(n, c, 0.26).tolist() == [0, 0, 1, 1]
    assert covered(n, c, 0.9).tolist() == [0, 0, 0, 1]
    assert covered(n, c, 1 / 256).tolist() == [0, 1, 1, 1]  # one success of four
    assert covered([10], [1], 0.1).tolist() == [1]
    assert covered([4], [0], 1e-10).tolist() == [0]
    for impossible in ((0, 0), (8, 9)):
        with pytest.raises(UserError, match=f"n={impossible[0]}, c={impossible[1]}"):
            covered(*impossible, 0.5)
    for tau in (0, 1.5):
        with pytest.raises(UserError, match="tau"):
            covered(n, c, tau)


def test_pass_at_k_is_the_mean_of_cover_over_a_beta():
    """1 - (1 - p)^k = E[p >= tau], tau ~ Beta(1, k), whose density is k (1 - tau)^(k-1)."""
    rate, k = 0.3, 5
    taus = (np.arange(100_000) + 0.5) / 100_000
    density = k * (1 - taus) ** (k - 1)
    mean = (density * (rate >= taus)).mean()
    assert mean == pytest.approx(1 - (1 - rate) ** k, abs=1e-4)


def test_area_by_hand():
    """One right of four: pass@1, 2, 4 are 1/4, 1/2, 1; trapezoids of one width: (3/8 + 3/4) / 2."""
    assert log_k_area([4], [1], 4) == pytest.approx([9 / 16])
    assert log_k_area([4, 4], [0, 4], 4).tolist() == [0, 1]
    # up to 3 there are two widths, ln 2 and ln 1.5
    curve = pass_at_k(4, 1, np.array([1, 2, 3]))
    by_hand = (curve[:2].mean() * np.log(2) + curve[1:].mean() * np.log(1.5)) / np.log(3)
    assert log_k_area([4], [1], 3) == pytest.approx([by_hand])


def test_lost_and_won_are_paired():
    lost, won = lost_and_won(4, [[0, 3, 0, 1], [2, 0, 0, 0]], 4, [1, 2, 0, 0])
    assert lost.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert won.tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_lost_and_won_are_of_as_many_samples_of_both():
    """One right of four: three of them hold it with a chance of 3/4."""
    lost, won = lost_and_won([3, 4], [0, 1], [4, 3], [1, 0])
    assert lost.tolist() == [0.75, 0] and won.tolist() == [0, 0.75]


def test_distinct_answers_counts_forms_of_right_ones():
    rows = [
        ("a", "correct", "1+2"),
        ("a", "correct", "2+1"),
        ("a", "correct", "1*3"),
        ("a", "wrong", "9"),
        ("b", "wrong", "1"),
    ]
    frame = pd.DataFrame(rows, columns=["problem_id", "verdict", "text"])
    assert distinct_answers(frame).to_dict() == {"a": 2, "b": 0}


def test_all_of_them_side_by_side():
    n, c = np.full((1, 2), 4), np.array([[1, 0]])
    found = per_problem(n, c, np.array([4, 4]), np.array([0, 2]), [0.25, 0.5], 4)
    np.testing.assert_allclose(found[0], [[1, 0, 9 / 16, 0, 1], [0, 0, 0, 1, 0]])
