import numpy as np
import pytest

from rlvr.errors import UserError
from rlvr.evaluation import pass_at_k
from rlvr.evaluation.significance import paired_subsampling_test, subsampled_means, two_sided_p_values


def subsampled(n, c, ks, m, iterations=40_000):
    rng = np.random.default_rng(0)
    return subsampled_means(n, c, ks, subsample=m, iterations=iterations, rng=rng)


def test_a_subsample_is_drawn_without_replacement():
    """One correct of 8 is among 4 kept with probability 1/2; then pass@1 is 1/4 and pass@4 is 1."""
    means = subsampled([8], [1], [1, 4], 4)
    assert set(map(tuple, means)) == {(0.0, 0.0), (0.25, 1.0)}
    assert means[:, 1].mean() == pytest.approx(0.5, abs=0.01)


def test_moments_of_a_subsample():
    """Its mean is pass@k of all n; at k = 1 its variance is the hypergeometric p(1-p)/m (n-m)/(n-1)."""
    n, c, m, ks = 64, 20, 16, [1, 4, 16]
    means = subsampled([n], [c], ks, m)
    np.testing.assert_allclose(means.mean(axis=0), pass_at_k(n, c, np.array(ks)), atol=0.005)
    p = c / n
    assert means[:, 0].var() == pytest.approx(p * (1 - p) / m * (n - m) / (n - 1), rel=0.03)


def test_problems_and_seeds_are_drawn_independently_and_averaged():
    one = subsampled([64], [20], [1], 16)
    four = subsampled([[64, 64], [64, 64]], [[20, 20], [20, 20]], [1], 16)
    assert four.mean() == pytest.approx(one.mean(), abs=0.005)
    assert four.var() == pytest.approx(one.var() / 4, rel=0.05)


def test_iterations_are_in_no_order():
    means = subsampled([64], [20], [1], 16)[:, 0]
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.02


def test_p_values_by_hand():
    differences = np.array([[-1.0, 0, 1], [1, 0, 1], [2, 0, 1], [3, 0, 1e-15]])
    # one of four on the lesser side; all tied; the last difference is a tie, so it counts as both
    np.testing.assert_allclose(two_sided_p_values(differences), [4 / 5, 1, 4 / 5])
    assert two_sided_p_values(np.ones(99)) == pytest.approx(2 / 100)


def false_positive_rates(n: int, m: int, ks: list[int], trials: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    right = rng.beta(0.5, 1.5, size=12)
    significant = np.zeros(len(ks))
    for trial in range(trials):
        focal, baseline = (((np.full(12, n)), rng.binomial(n, right)) for _ in range(2))
        _, p = paired_subsampling_test(focal, baseline, ks, subsample=m, iterations=400, seed=trial)
        significant += p < 0.05
    return significant / trials


def test_false_positives_stay_within_the_level():
    """Equal policies, m = n/4 as in the paper: far below 5 %, for each k from 1 to m."""
    assert (false_positive_rates(64, 16, [1, 4, 16]) <= 0.02).all()


def test_the_level_is_reached_and_not_passed_at_half():
    """At m = n/2 and k = 1 the iterations spread exactly as chance does. 3.3 standard errors either way."""
    rate = false_positive_rates(64, 32, [1])[0]
    assert 0.015 < rate < 0.086


def test_a_real_difference_is_found_where_it_is():
    """The focal arm solves three hard problems now and then: seen at k = 32, in the right direction."""
    n, baseline_c = np.full(20, 128), np.repeat([0, 64], 10)
    focal_c = baseline_c.copy()
    focal_c[:5] = 12
    difference, p = paired_subsampling_test(
        (n, focal_c), (n, baseline_c), [1, 32], subsample=32, iterations=2000
    )
    expected = 5 / 20 * pass_at_k(128, 12, np.array([1, 32]))
    np.testing.assert_allclose(difference, expected)
    assert p[1] < 0.01
    turned, p_turned = paired_subsampling_test(
        (n, baseline_c), (n, focal_c), [1, 32], subsample=32, iterations=2000
    )
    np.testing.assert_allclose(turned, -difference)
    np.testing.assert_allclose(p_turned, p, atol=0.05)


def test_arms_may_differ_in_seeds():
    n = np.full((3, 4), 32)
    difference, _ = paired_subsampling_test(
        (n, np.full((3, 4), 16)), (n[0], np.full(4, 8)), [1], subsample=8, iterations=50
    )
    np.testing.assert_allclose(difference, [0.25])


@pytest.mark.parametrize(("k", "m"), [(1, 33), (16, 8)])
def test_refuses_sizes_that_do_not_fit(k, m):
    arm = np.full(4, 64), np.full(4, 8)
    with pytest.raises(UserError, match=f"k={k}, m={m} and n=64: accepted are k <= m <= n/2"):
        paired_subsampling_test(arm, arm, [k], subsample=m)


def test_refuses_an_n_that_is_not_that_of_each_problem():
    arm = ([1024, 1024], [100, 100])
    for other in (([1024], [100, 200]), (1024, 100)):
        with pytest.raises(
            UserError, match=r"shape \(.*\) and c of shape \(.*\): accepted are two of the same"
        ):
            paired_subsampling_test(other, arm, [1], iterations=50)
    one = ([1024], [100, 200]), ([1024], [100, 100])
    with pytest.raises(UserError, match=r"n of shape \(1,\) and c of shape \(2,\)"):
        paired_subsampling_test(*one, [1], iterations=50)


def test_refuses_other_problems():
    with pytest.raises(UserError, match="4 and 3 problems"):
        paired_subsampling_test((np.full(4, 8), np.ones(4)), (np.full(3, 8), np.ones(3)), [1], subsample=4)
