import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlvr.curriculum.lim import fill_gaps, learning_impact, steady_improvement
from rlvr.errors import UserError

NAN = np.nan
SHARES = st.integers(0, 8).map(lambda right: right / 8)


def test_the_average_curve_scores_one_the_always_solved_zero_the_never_solved_below():
    rising = [0.25, 0.75]
    accuracy = np.array([[1.0, 1.0], rising, [0.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    average = np.array([0.25, 0.75])
    np.testing.assert_array_equal(accuracy.mean(axis=0), average)

    scores = learning_impact(accuracy)
    assert scores[1] == 1.0
    assert scores[0] == 0.0
    # 1 - (1/16 + 9/16) / (9/16 + 1/16)
    assert scores[2] == 1 - (average**2).sum() / ((1 - average) ** 2).sum() == 0.0
    # 1 - (1/16 + 1/16) / (10/16)
    assert scores[3] == pytest.approx(0.8)


def test_never_solved_is_far_below_zero_where_the_average_is_high():
    accuracy = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    assert learning_impact(accuracy).tolist() == [1 - 9, 0, 0, 0]


def test_a_problem_with_a_gap_has_no_score_and_no_part_in_the_average():
    complete = np.array([[0.5, 1.0], [0.0, 0.5]])
    scores = learning_impact(np.vstack([complete, [NAN, 1.0]]))
    np.testing.assert_array_equal(scores[:2], learning_impact(complete))
    assert np.isnan(scores[2])


def test_gaps_take_the_next_epochs_value_in_one_pass():
    accuracy = np.array(
        [
            [NAN, 0.5, 1.0],  # filled
            [0.5, NAN, 1.0],  # filled
            [NAN, NAN, 1.0],  # the first stays open
            [0.5, 1.0, NAN],  # nothing follows
        ]
    )
    filled = fill_gaps(accuracy)
    np.testing.assert_array_equal(
        filled, [[0.5, 0.5, 1.0], [0.5, 1.0, 1.0], [NAN, 1.0, 1.0], [0.5, 1.0, NAN]]
    )
    assert np.isnan(accuracy[0, 0]), "the argument is not changed"


def test_expected_survivors_of_limrs_setting():
    """8 batches of 1,024 an epoch leave 331 of 8,523 prompts out, 21 times: about 7,968 prompts remain."""
    rng = np.random.default_rng(0)
    asked = np.full((8523, 21), NAN)
    for epoch in range(21):
        asked[rng.permutation(8523)[: 8 * 1024], epoch] = 0.5
    survivors = ~np.isnan(fill_gaps(asked)).any(axis=1)
    assert survivors.sum() == pytest.approx(7968, abs=4 * 23)


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=SHARES))
def test_scores_are_at_most_one_and_follow_the_problems_order(accuracy: np.ndarray):
    if (accuracy == 1).all():
        with pytest.raises(UserError, match="every problem was solved"):
            learning_impact(accuracy)
        return
    scores = learning_impact(accuracy)
    assert (scores <= 1).all()
    np.testing.assert_allclose(learning_impact(accuracy[::-1]), scores[::-1])


def test_steady_improvement_is_the_correlation_with_time():
    accuracy = np.array(
        [[0.0, 0.25, 0.5], [0.5, 0.25, 0.0], [0.5, 0.5, 0.5], [0.0, 1.0, 0.5], [NAN, 0.5, 1.0]]
    )
    scores = steady_improvement(accuracy)
    np.testing.assert_allclose(scores[:4], [1.0, -1.0, 0.0, 0.5])
    assert np.isnan(scores[4])
    assert scores[3] == pytest.approx(np.corrcoef([0, 1, 2], accuracy[3])[0, 1])


def test_too_few_epochs_or_no_complete_problem_is_said():
    with pytest.raises(UserError, match="1 epochs of accuracy: accepted are 2"):
        steady_improvement(np.zeros((3, 1)))
    with pytest.raises(UserError, match="none of 2 problems"):
        learning_impact(np.array([[NAN, 1.0], [0.5, NAN]]))
