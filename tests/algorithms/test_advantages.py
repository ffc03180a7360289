import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rlvr.algorithms import group_relative_advantages, success_rate
from rlvr.errors import UserError

NAN = float("nan")


def one_group(size):
    return torch.zeros(size, dtype=torch.int64)


def rewards_of(correct, size, dtype=torch.float64):
    return torch.tensor([1.0] * correct + [0.0] * (size - correct), dtype=dtype)


# Hand-computed for k of N correct: mean k/N, std sqrt(k (N - k) / (N (N - ddof))).
@pytest.mark.parametrize(
    ("size", "correct", "ddof", "positive", "negative"),
    [
        (2, 1, 1, 0.707, -0.707),
        (8, 1, 1, 2.475, -0.354),
        (8, 4, 1, 0.935, -0.935),
        (8, 7, 1, 0.354, -2.475),
        (32, 1, 1, 5.480, -0.177),
        (2, 1, 0, 1.000, -1.000),
        (8, 1, 0, 2.646, -0.378),
        (8, 4, 0, 1.000, -1.000),
        (8, 7, 0, 0.378, -2.646),
        (32, 1, 0, 5.568, -0.180),
    ],
)
def test_known_advantages_of_binary_groups(size, correct, ddof, positive, negative):
    advantages = group_relative_advantages(rewards_of(correct, size), one_group(size), ddof=ddof)
    expected = torch.tensor([positive] * correct + [negative] * (size - correct), dtype=torch.float64)
    torch.testing.assert_close(advantages, expected, atol=5e-4, rtol=0)


def test_without_std_it_is_the_distance_to_the_mean():
    advantages = group_relative_advantages(rewards_of(1, 8), one_group(8), normalize_std=False)
    torch.testing.assert_close(advantages, torch.tensor([0.875] + [-0.125] * 7, dtype=torch.float64))


def test_eps_is_added_to_std():
    # Mean 1/2, std with ddof 0 is 1/2.
    advantages = group_relative_advantages(rewards_of(1, 2), one_group(2), ddof=0, eps=0.5)
    assert advantages.tolist() == [0.5, -0.5]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("normalize_std", [True, False])
@pytest.mark.parametrize("eps", [0.0, 1e-6])
@pytest.mark.parametrize("reward", [0.1, 1 / 3, 1e8 + 0.1, -0.7])
def test_equal_rewards_are_exactly_zero(dtype, normalize_std, eps, reward):
    for size in (1, 2, 3, 7, 10):
        rewards = torch.full((size,), reward, dtype=dtype)
        advantages = group_relative_advantages(rewards, one_group(size), eps=eps, normalize_std=normalize_std)
        assert advantages.tolist() == [0.0] * size
        assert advantages.dtype == dtype


def test_float32_groups_far_from_zero_keep_their_statistics():
    # In float32 the square of 10,000 has no room left for these differences.
    rewards = torch.tensor([10_000.0, 10_000.5, 10_001.0])
    advantages = group_relative_advantages(rewards, one_group(3))
    torch.testing.assert_close(advantages, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-5, rtol=0)


def test_unscorable_rollouts_are_left_out():
    rewards = torch.tensor([1.0, NAN, 0.0, NAN, 5.0, NAN])
    group_index = torch.tensor([0, 0, 0, 1, 1, 2])
    advantages = group_relative_advantages(rewards, group_index)
    # Group 0 is (1, 0); group 1 has a single scorable rollout; group 2 has none.
    half = math.sqrt(0.5)
    torch.testing.assert_close(advantages, torch.tensor([half, 0, -half, 0, 0, 0]), atol=1e-5, rtol=0)
    assert advantages[[1, 3, 4, 5]].tolist() == [0.0] * 4


def test_no_rollouts():
    nothing = torch.empty(0)
    assert group_relative_advantages(nothing, one_group(0)).shape == (0,)
    assert success_rate(nothing, one_group(0)).shape == (0,)


def test_integer_and_boolean_rewards_give_floats():
    for rewards in (torch.tensor([1, 0]), torch.tensor([True, False])):
        advantages = group_relative_advantages(rewards, one_group(2), ddof=0, eps=0.0)
        assert advantages.dtype == torch.float32
        assert advantages.tolist() == [1.0, -1.0]


@st.composite
def ragged_batches(draw):
    """(rewards with NaNs, ids): groups of any size, ids of any value, in any order."""
    group_sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    ids = draw(
        st.lists(
            st.integers(-(2**62), 2**62),
            min_size=len(group_sizes),
            max_size=len(group_sizes),
            unique=True,
        )
    )
    group_index = [i for i, size in zip(ids, group_sizes, strict=True) for _ in range(size)]
    group_index = draw(st.permutations(group_index))
    reward = st.sampled_from([0.0, 1.0, -1.0, 0.1, 0.25, NAN])
    rewards = draw(st.lists(reward, min_size=len(group_index), max_size=len(group_index)))
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(group_index)


def advantages_group_by_group(rewards, group_index, ddof, eps):
    """Equation 3 with numpy, one group at a time."""
    rewards, group_index = rewards.numpy(), group_index.numpy()
    advantages = np.zeros_like(rewards)
    for i in np.unique(group_index):
        members = np.flatnonzero((group_index == i) & ~np.isnan(rewards))
        if len(np.unique(rewards[members])) > 1:
            r = rewards[members]
            advantages[members] = (r - r.mean()) / (r.std(ddof=ddof) + eps)
    return torch.from_numpy(advantages)


@settings(derandomize=True, deadline=None)
@given(ragged_batches(), st.sampled_from([0, 1]), st.sampled_from([1e-6, 1e-4]))
def test_agrees_with_one_group_at_a_time(batch, ddof, eps):
    advantages = group_relative_advantages(*batch, ddof=ddof, eps=eps)
    torch.testing.assert_close(
        advantages, advantages_group_by_group(*batch, ddof, eps), atol=1e-10, rtol=1e-10
    )


@settings(derandomize=True, deadline=None)
@given(ragged_batches(), st.randoms(use_true_random=False))
def test_order_and_names_of_groups_do_not_matter(batch, random):
    rewards, group_index = batch
    order = list(range(len(rewards)))
    random.shuffle(order)
    distinct = group_index.unique().tolist()
    new_name = dict(zip(distinct, random.sample(range(1000), len(distinct)), strict=True))
    renamed = torch.tensor([new_name[i] for i in group_index.tolist()])
    for function in (group_relative_advantages, success_rate):
        values = (rewards > 0).double().where(~rewards.isnan(), NAN) if function is success_rate else rewards
        torch.testing.assert_close(
            function(values[order], renamed[order]),
            function(values, group_index)[order],
            atol=1e-12,
            rtol=0,
        )


def test_success_rate_is_the_groups_share_of_correct():
    correct = torch.tensor([1.0, 0.0, 0.0, 1.0, NAN, NAN, 0.0, 1.0])
    group_index = torch.tensor([7, 7, 7, -2, -2, 5, 9, 9])
    expected = torch.tensor([1 / 3, 1 / 3, 1 / 3, 1.0, 1.0, 0.0, 0.5, 0.5])
    assert torch.equal(success_rate(correct, group_index), expected)


def test_rows_of_groups_are_refused():
    """A row for each group was taken for a group of one rollout in each column: the rate of each was its own
    correctness."""
    rows = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    for method in (success_rate, group_relative_advantages):
        with pytest.raises(UserError, match=r"shape \[2, 3\] with a group_index of shape \[2\]"):
            method(rows, torch.arange(2))
    flat = torch.arange(2).repeat_interleave(3)
    torch.testing.assert_close(success_rate(rows.flatten(), flat), torch.tensor([1 / 3] * 3 + [2 / 3] * 3))


def test_success_rate_of_booleans():
    rate = success_rate(torch.tensor([True, False, False, True]), torch.tensor([0, 0, 1, 0]))
    torch.testing.assert_close(rate, torch.tensor([2 / 3, 2 / 3, 0.0, 2 / 3]))
