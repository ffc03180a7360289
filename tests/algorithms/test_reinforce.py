"""Estimators beside GRPO's own: RLOO and REINFORCE++."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.algorithms.advantages import group_relative_advantages, reinforce_plus_plus, rloo

NAN = math.nan
REWARDS = torch.tensor([1.0, 0, 0, NAN, 1, 1, 0.5])
GROUPS = torch.tensor([4, 4, 4, 4, 2, 2, 9])


def test_rloo_by_hand():
    """Of 1, 0, 0: 1 - 0, 0 - 1/2, 0 - 1/2; equal rewards and a lone rollout have no advantage."""
    expected = torch.tensor([1.0, -0.5, -0.5, 0, 0, 0, 0])
    torch.testing.assert_close(rloo(REWARDS, GROUPS), expected)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 2)), min_size=1, max_size=20))
def test_rloo_is_the_mean_of_the_others_whatever_the_groups(rows: list[tuple[int, float]]):
    groups, rewards = (torch.tensor(column) for column in zip(*rows, strict=True))
    rewards = rewards.double()
    for i, advantage in enumerate(rloo(rewards, groups).tolist()):
        others = [float(rewards[j]) for j in range(len(rows)) if j != i and groups[j] == groups[i]]
        expected = float(rewards[i]) - sum(others) / len(others) if others else 0.0
        assert advantage == pytest.approx(expected, abs=1e-9)


def test_reinforce_plus_plus_by_hand():
    """1, 0, 0, 0 in two groups: mean 1/4 and std 1/2 of all four, so 1.5 and -0.5."""
    rewards, groups = torch.tensor([1.0, 0, 0, 0, NAN]), torch.tensor([0, 0, 1, 1, 1])
    expected = torch.tensor([1.5, -0.5, -0.5, -0.5, 0])
    torch.testing.assert_close(reinforce_plus_plus(rewards, groups, advantage_eps=0.0), expected)


def test_its_baseline_takes_each_groups_mean_off_first():
    """Means 1/2 and 0 leave 1/2, -1/2, 0, 0: mean 0, std sqrt(1/6)."""
    rewards, groups = torch.tensor([1.0, 0, 0, 0, NAN]), torch.tensor([0, 0, 1, 1, 1])
    expected = torch.tensor([0.5, -0.5, 0, 0, 0]) * math.sqrt(6)
    found = reinforce_plus_plus(rewards, groups, baseline="group", advantage_eps=0.0)
    torch.testing.assert_close(found, expected)


def test_a_group_without_signal_stays_at_exactly_zero():
    """Five of five, two and four right: the mean of what the groups' means leave is 0 only up to rounding."""
    rewards = torch.tensor([1.0] * 5 + [1, 1, 0, 0, 0] + [1, 1, 1, 1, 0])
    found = reinforce_plus_plus(rewards, torch.arange(3).repeat_interleave(5), baseline="group")
    assert found[:5].tolist() == [0] * 5
    # squares left: 2 (3/5)^2 + 3 (2/5)^2 + 4 (1/5)^2 + (4/5)^2 = 2, of 14 degrees of freedom
    torch.testing.assert_close(found[5], torch.tensor(0.6 * math.sqrt(7)))


def test_with_one_group_reinforce_plus_plus_is_grpo():
    rewards, group = torch.tensor([0.1, 0.7, 0.7, NAN]), torch.zeros(4, dtype=torch.int64)
    expected = group_relative_advantages(rewards, group, eps=1e-8)
    for baseline in ("none", "group"):
        torch.testing.assert_close(reinforce_plus_plus(rewards, group, baseline=baseline), expected)


def test_equal_rewards_are_no_signal_and_no_nan():
    rewards, groups = torch.tensor([0.3, 0.3, 0.3]), torch.tensor([0, 0, 1])
    for baseline in ("none", "group"):
        assert reinforce_plus_plus(rewards, groups, baseline=baseline).tolist() == [0, 0, 0]
