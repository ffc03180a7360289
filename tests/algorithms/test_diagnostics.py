import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from rlvr.algorithms import clip_fraction, effective_sample_size, grpo_token_loss


def test_clip_fraction_counts_the_side_that_the_advantage_pushes_to():
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1, 0.9, 1.5, 0.5])
    advantages = torch.tensor([1.0, -1, 1, -1, 1, -1, 0, 0])
    # Only (1.5, A > 0) and (0.5, A < 0) are cut.
    share = clip_fraction(ratio.log(), torch.zeros(8), advantages, clip_low=0.2, clip_high=0.2)
    assert share.item() == 2 / 8


def test_clip_fraction_uses_each_bound_on_its_own_side():
    ratio, advantages = torch.tensor([1.25, 0.75]), torch.tensor([1.0, -1.0])
    bounds = {"clip_low": 0.2, "clip_high": 0.28}
    assert clip_fraction(ratio.log(), torch.zeros(2), advantages, **bounds).item() == 0.5


def test_clip_fraction_is_the_share_of_tokens_without_gradient():
    generator = torch.Generator().manual_seed(0)
    old_logp = -torch.rand(500, generator=generator)
    logp = (old_logp + 0.4 * torch.randn(500, generator=generator)).requires_grad_()
    advantages = torch.randn(500, generator=generator)
    grpo_token_loss(logp, old_logp, advantages, clip_low=0.2, clip_high=0.28).sum().backward()
    share = clip_fraction(logp, old_logp, advantages, clip_low=0.2, clip_high=0.28)
    assert 0.1 < share.item() < 0.9
    assert share.item() == pytest.approx((logp.grad == 0).double().mean().item())


def test_no_tokens():
    nothing = torch.empty(0)
    assert clip_fraction(nothing, nothing, nothing, clip_low=0.2, clip_high=0.2).item() == 0
    assert effective_sample_size(nothing).item() == 1


def test_effective_sample_size_by_hand():
    # Weights 1, 1, 2: (1 + 1 + 2)^2 / (3 (1 + 1 + 4)) = 16 / 18.
    weights = torch.tensor([1.0, 1.0, 2.0])
    assert effective_sample_size(weights.log()).item() == pytest.approx(16 / 18)
    assert effective_sample_size(torch.full((5,), -3.0)).item() == pytest.approx(1)


def test_effective_sample_size_survives_any_log_ratio():
    assert effective_sample_size(torch.tensor([500.0, 0.0, -500.0, 0.0])).item() == pytest.approx(1 / 4)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20), st.floats(-50, 50))
def test_effective_sample_size_is_normalised_and_free_of_scale(log_ratio, shift):
    log_ratio = torch.tensor(log_ratio, dtype=torch.float64)
    size = effective_sample_size(log_ratio).item()
    assert (1 - 1e-12) / len(log_ratio) <= size <= 1
    assert effective_sample_size(log_ratio + shift).item() == pytest.approx(size)
