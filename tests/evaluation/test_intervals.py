import numpy as np
import pytest
from scipy.stats import binom

from rlvr.errors import UserError
from rlvr.evaluation.intervals import (
    bootstrap_interval,
    difference_bounds,
    difference_freedom,
    effective_freedom,
    percentile_interval,
    resampled_means,
    resampling_weights,
    share_interval,
)
from rlvr.evaluation.results import percent


def test_equal_values_have_no_spread():
    assert bootstrap_interval(np.full((3, 7), 0.25)) == pytest.approx((0.25, 0.25, 0.25))


def test_a_benchmark_solved_throughout_has_jeffreys_interval():
    """The density of Beta(1/2, n + 1/2) integrates to 0.025 beyond the distance from 1."""
    value, low, high = share_interval(np.ones((2, 48)))
    assert (value, high) == (1, 1)
    share = np.linspace(0, 1, 2_000_001)[1:-1]
    density = share**-0.5 * (1 - share) ** 47.5
    assert density[share > 1 - low].sum() / density.sum() == pytest.approx(0.025, abs=2e-4)
    assert share_interval(np.zeros(48)) == pytest.approx((0, 0, 1 - low))


@pytest.mark.parametrize("rate", [0.99, 0.995, 0.999])
def test_intervals_near_the_ceiling_cover_the_rate(rate):
    """48 problems, each solved or not: of all outcomes, weighted by chance, at least 94 % are covered."""
    covered = 0.0
    for failures in range(4):
        values = np.ones(48)
        values[:failures] = 0
        _, low, high = share_interval(values, iterations=2000)
        covered += binom.pmf(failures, 48, 1 - rate) * (low <= rate <= high)
    assert covered > 0.94


def test_two_seeds_that_differ_in_everything_span_both():
    values = np.repeat([[0.0], [1.0]], 5, axis=1)
    assert bootstrap_interval(values) == (0.5, 0.0, 1.0)


def test_one_seed_is_a_row_of_problems():
    values = np.linspace(0, 1, 11) ** 2
    assert bootstrap_interval(values) == bootstrap_interval(values[None])


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.linspace(0, 1, 50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


@pytest.mark.parametrize("size", [2, 3, 30])
def test_variance_of_the_resampled_mean_is_unbiased(size):
    """s² / size with s² over (size - 1), which resampling all `size` items would miss."""
    values = np.random.default_rng(0).normal(size=(1, size))
    one_seed = np.ones((100_000, 1))
    means = resampled_means(values, resampling_weights(size, 100_000, [1]), one_seed)
    assert means.var() == pytest.approx(values.var(ddof=1) / size, rel=0.02)


def test_weights_are_shares_of_a_resample():
    weights = resampling_weights(5, 1000, [0])
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert set(np.unique(weights)) <= {0, 0.25, 0.5, 0.75, 1}
    assert resampling_weights(1, 3, [0]).tolist() == [[1], [1], [1]]


def test_seeds_and_problems_are_crossed():
    """Every seed of a replicate sees the same resample of problems."""
    seeds, problems = np.array([[0.0], [10.0]]), np.array([1.0, 2.0, 4.0])
    problem_weights = np.array([[0.5, 0.5, 0], [0, 0, 1]])
    seed_weights = np.array([[0.5, 0.5], [0, 1]])
    means = resampled_means(seeds + problems, problem_weights, seed_weights)
    np.testing.assert_allclose(means, [5 + 1.5, 10 + 4])


def test_arms_that_share_problem_weights_are_paired():
    arm = np.random.default_rng(0).random((1, 40, 2))
    problem_weights, one_seed = resampling_weights(40, 500, [7]), np.ones((500, 1))
    better = resampled_means(arm + 0.125, problem_weights, one_seed)
    difference = better - resampled_means(arm, problem_weights, one_seed)
    np.testing.assert_allclose(percentile_interval(difference), np.full((2, 2), 0.125))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Problems, seeds and their interaction all vary around 0; problems alone would cover far too little."""
    rng = np.random.default_rng(0)
    covered = problems_only_covered = 0
    for trial in range(300):
        values = rng.normal(size=(8, 1)) + rng.normal(size=(1, 30)) + rng.normal(size=(8, 30))
        _, low, high = bootstrap_interval(values, iterations=400, seed=trial)
        covered += low <= 0 <= high
        _, low, high = bootstrap_interval(values.mean(axis=0), iterations=400, seed=trial)
        problems_only_covered += low <= 0 <= high
    assert 0.88 <= covered / 300 <= 0.98
    assert problems_only_covered / 300 < 0.75


@pytest.mark.parametrize("values", [[], [[]], [0.5, np.nan], [[[1.0]]]])
def test_refuses_what_has_no_mean(values):
    with pytest.raises(UserError, match="accepted are finite values"):
        bootstrap_interval(values)


def test_seeds_and_problems_are_drawn_apart():
    """Drawn alike, the two halves of these values would cancel in every replicate."""
    effect = np.arange(12.0)
    _, low, high = bootstrap_interval(effect[:, None] - effect)
    assert high - low > 2


def test_degrees_of_freedom_by_hand():
    """Two equal variances of 4 degrees have 8 together; of 1 and 3 with 4 and 9: 16 / (1/4 + 9/9) = 12.8."""
    assert effective_freedom([2.0, 2.0], [4, 4]) == pytest.approx(8)
    found = effective_freedom([[1.0, 0.0, 0.0], [3.0, 5.0, 0.0]], [[4], [9]])
    np.testing.assert_allclose(found, [12.8, 9, np.nan])


def test_degrees_of_freedom_of_a_difference_by_hand():
    """Seeds' means of 0 and 2, variance 2, so 1 of the mean; the other arm's 1/4; the problems have what is
    left of 2.25, which is 1. (2.25)^2 / (1/1 + (1/16)/3 + 1/10)."""
    one, other = np.array([0.0, 2.0]), np.array([0.0, 0.0, 0.0, 2.0])
    assert other.var(ddof=1) / 4 == 0.25
    found = difference_freedom(2.25, one, other, problems=11)
    assert found == pytest.approx(2.25**2 / (1 + 0.25**2 / 3 + 1 / 10))


def test_where_seeds_say_nothing_problems_have_all_degrees():
    same = np.full((5, 1), 0.3)
    assert difference_freedom(np.array([0.01]), same, same, problems=64) == pytest.approx(63)
    assert difference_freedom(np.array([0.01]), same[:1], same[:1], problems=64) == pytest.approx(63)


def test_what_is_printed_as_all_or_nothing_has_jeffreys_interval_too():
    """49 problems solved and one in 999 of 1,000 samples: 99.998 %."""
    nearly = np.array([1.0] * 49 + [0.999])
    assert share_interval(nearly)[1:] == share_interval(np.ones(50))[1:]
    assert share_interval(1 - nearly)[1:] == share_interval(np.zeros(50))[1:]
    clearly = np.array([1.0] * 49 + [0.9])
    assert share_interval(clearly) == bootstrap_interval(clearly)


def test_one_problem_has_no_interval():
    """It had one without width, as if another problem could not have been answered otherwise."""
    for values in ([0.25], [1.0], [[0.0], [0.5]]):
        mean, low, high = share_interval(values)
        assert mean == np.mean(values) and np.isnan([low, high]).all()
        assert percent(mean, low, high) == f"{100 * mean:.1f}"
    one, other = np.array([[0.5]]), np.array([[0.25]])
    difference = bootstrap_interval(one - other)
    assert difference.value == 0.25 and np.isnan(difference[1:]).all()
    low, high = difference_bounds(0.0, np.nan, np.nan, 1)  # of two arms that agree on it
    assert np.isnan([low, high]).all()
