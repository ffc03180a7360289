import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from rlvr.errors import UserError
from rlvr.theory.tail_miss import active_probability, most_tail_missing_group_size, tail_miss_probability

SMALLEST_NORMAL = float(np.finfo(float).tiny)


def exact(N, mu, tau):
    """Lemma 3.1 as printed, for the given binary floats, with digits to spare for every cancellation."""
    with mp.workdps(80):
        mu, tau = mpf(mu), mpf(tau)
        return (1 - tau) ** N - (mu - tau) ** N - (1 - mu) ** N


def relative_error(measured, N, mu, tau):
    expected = exact(N, mu, tau)
    return float(abs(mpf(float(measured)) / expected - 1)) if expected > SMALLEST_NORMAL else 0.0


def test_hand_computed_values():
    # mu = 1/2, tau = 1/4: (3/4)^N - (1/4)^N - (1/2)^N.
    assert tail_miss_probability([1, 2, 3], 0.5, 0.25) == pytest.approx([0, 1 / 4, 9 / 32], rel=1e-15)
    # Two rollouts: one correct outside the target and one wrong, in either order.
    assert tail_miss_probability(2, 0.3, 0.1) == pytest.approx(2 * 0.2 * 0.7, rel=1e-15)
    assert active_probability(3, 0.5) == pytest.approx(0.75, rel=1e-15)


def test_agrees_with_eighty_digits_over_a_wide_grid():
    worst = 0.0
    for mu in (1e-9, 1e-4, 0.01, 0.3, 0.5, 0.8, 0.99, 1 - 1e-6, 1 - 1e-12):
        for rho in (1e-9, 1e-4, 0.01, 0.2, 0.5, 0.9, 1 - 1e-9):
            tau = rho * mu
            sizes = np.array([1, 2, 3, 5, 8, 100, 4096, 2**17, 2**20])
            for N, measured in zip(sizes.tolist(), tail_miss_probability(sizes, mu, tau), strict=True):
                worst = max(worst, relative_error(measured, N, mu, tau))
    assert worst < 1e-12


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    N=st.integers(1, 2**20),
    mu=st.floats(1e-12, 1, exclude_max=True),
    rho=st.floats(1e-12, 1, exclude_max=True),
)
def test_agrees_with_eighty_digits_anywhere(N, mu, rho):
    assert relative_error(tail_miss_probability(N, mu, rho * mu), N, mu, rho * mu) < 1e-12


@settings(max_examples=200, derandomize=True, deadline=None)
@given(N=st.integers(1, 10**6), mu=st.floats(0, 1), rho=st.floats(0, 1))
def test_a_tail_miss_is_at_most_an_active_group(N, mu, rho):
    miss = tail_miss_probability(N, mu, rho * mu)
    assert 0 <= miss <= active_probability(N, mu) * (1 + 1e-12)
    assert miss <= (1 - rho * mu) ** N * (1 + 1e-9)


def test_edges_of_the_ranges():
    assert (tail_miss_probability(1, np.linspace(0.01, 0.99, 99), 0.005) == 0).all()
    assert tail_miss_probability(7, 0.4, 0.4) == 0  # a correct rollout is always in the target
    assert tail_miss_probability(7, 1.0, 0.2) == 0 and tail_miss_probability(7, 0.0, 0.0) == 0
    assert tail_miss_probability(7, 1.0, 1.0) == 0


def test_arguments_broadcast():
    grid = tail_miss_probability(np.array([2, 8])[:, None], np.array([0.3, 0.5, 0.8]), 0.1)
    assert grid.shape == (2, 3) and grid.dtype == np.float64
    assert grid[1, 2] == tail_miss_probability(8, 0.8, 0.1)
    assert isinstance(tail_miss_probability(8, 0.8, 0.1), float)


def test_monte_carlo_agrees_within_four_standard_errors():
    draws, rng = 20_000, np.random.default_rng(0)
    for mu in (0.2, 0.5, 0.8):
        for rho in (0.05, 0.2, 0.6):
            for N in (2, 3, 8, 32):
                target, correct, wrong = rng.multinomial(N, [rho * mu, mu - rho * mu, 1 - mu], size=draws).T
                active = (target + correct > 0) & (wrong > 0)
                for events, probability in (
                    (active, active_probability(N, mu)),
                    (active & (target == 0), tail_miss_probability(N, mu, rho * mu)),
                ):
                    standard_error = np.sqrt(probability * (1 - probability) / draws)
                    assert abs(events.mean() - probability) < 4 * standard_error


@pytest.mark.parametrize("mu", [0.02, 0.2, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("rho", [0.01, 0.05, 0.2, 0.7, 0.95])
def test_peak_agrees_with_a_search_over_every_group_size(mu, rho):
    sizes = np.arange(1, 20_000)
    peak = tail_miss_probability(sizes, mu, rho * mu).argmax()
    assert most_tail_missing_group_size(mu, rho * mu) == sizes[peak]


def test_peak_far_beyond_a_search():
    mu, tau = 1 - 1e-7, 1e-9
    N = most_tail_missing_group_size(mu, tau)
    assert N > 2**20
    assert exact(N - 1, mu, tau) < exact(N, mu, tau) > exact(N + 1, mu, tau)


def test_hand_computed_peak():
    # mu = 1/2, tau = 1/4: N = 3 gives 27/64 - 1/64 - 1/8 = 9/32, N = 2 gives 2/4 * 1/2 = 1/4, and N = 4
    # gives 81/256 - 1/256 - 1/16 = 1/4.
    assert most_tail_missing_group_size(0.5, 0.25) == 3


def test_a_rarer_target_moves_the_peak_to_larger_groups_and_higher():
    sizes = [most_tail_missing_group_size(0.5, rho * 0.5) for rho in (0.2, 0.1, 0.05, 0.01)]
    heights = tail_miss_probability(sizes, 0.5, 0.5 * np.array([0.2, 0.1, 0.05, 0.01]))
    assert sizes == sorted(sizes) and len(set(sizes)) == 4
    assert (np.diff(heights) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((0, 0.5, 0.1), "group size 0"),
        (([2, 2.5], 0.5, 0.1), "group size 2.5"),
        ((8, 1.2, 0.1), "success probability 1.2"),
        ((8, 0.5, 0.6), "target probability 0.6"),
        ((8, 0.5, -0.1), "target probability -0.1"),
        ((8, float("nan"), 0.1), "success probability nan"),
    ],
)
def test_arguments_outside_their_range_are_named(arguments, given):
    with pytest.raises(UserError, match=given):
        tail_miss_probability(*arguments)


def test_a_peak_that_does_not_exist_is_an_error():
    for mu, tau in ((0.5, 0.0), (0.5, 0.5), (1.0, 0.2), (float("nan"), 0.1)):
        with pytest.raises(UserError, match="0 < target < success < 1"):
            most_tail_missing_group_size(mu, tau)
