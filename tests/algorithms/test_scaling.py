import math

import pytest
import torch

from rlvr.algorithms import focal_weight, group_relative_advantages, success_rate
from rlvr.errors import UserError


def test_hand_computed_weights():
    rates = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    torch.testing.assert_close(
        focal_weight(rates, 1.0), torch.tensor([1, 0.75, 0.5, 0.25, 0], dtype=torch.float64)
    )
    torch.testing.assert_close(
        focal_weight(rates, 2.0), torch.tensor([1, 0.5625, 0.25, 0.0625, 0], dtype=torch.float64)
    )


@pytest.mark.parametrize(
    ("correct", "weight"),
    [(1, 0.935), (2, 0.866), (3, 0.791), (4, 0.707), (5, 0.612), (6, 0.5), (7, 0.354)],
)
def test_weights_of_eight_rollouts_at_gamma_one_half(correct, weight):
    assert focal_weight(torch.tensor(correct / 8), 0.5).item() == pytest.approx(weight, abs=5e-4)


def test_gamma_zero_is_exactly_one_everywhere():
    assert focal_weight(torch.tensor([0.0, 0.3, 1.0]), 0).tolist() == [1.0, 1.0, 1.0]


def test_focal_advantages_from_rewards_to_weights():
    # One of four correct: |A| = (3/4, 1/4) / sqrt(1/4) = (1.5, 0.5) with ddof 1, and g = sqrt(3/4).
    rewards, group = torch.tensor([1.0, 0, 0, 0]), torch.zeros(4, dtype=torch.int64)
    scaled = focal_weight(success_rate(rewards, group), 0.5) * group_relative_advantages(rewards, group)
    g = math.sqrt(0.75)
    torch.testing.assert_close(scaled, g * torch.tensor([1.5, -0.5, -0.5, -0.5]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("gamma", [-0.5, float("nan")])
def test_gamma_below_zero_is_refused(gamma):
    with pytest.raises(UserError, match="gamma"):
        focal_weight(torch.tensor([0.5]), gamma)


@pytest.mark.parametrize("rate", [-0.1, 1.01, float("nan")])
def test_success_rates_outside_the_unit_interval_are_refused(rate):
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        focal_weight(torch.tensor([0.5, rate]), 1.0)
