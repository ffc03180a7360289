"""Losses against numpy references in float64, written from the papers' formulas with their own gradients."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rlvr.algorithms import TokenBatch, cispo_token_loss, grpo_token_loss, kl_k3
from rlvr.algorithms.losses import clip_cov, gmpo, grpo, gspo, high_entropy, kl_cov
from rlvr.errors import UserError


def grpo_reference(logp, old_logp, advantages, clip_low, clip_high):
    """(loss, its derivative by logp): r A counts, with derivative r A, unless the clip holds it."""
    ratio = np.exp(logp - old_logp)
    held = ((advantages > 0) & (ratio > 1 + clip_high)) | ((advantages < 0) & (ratio < 1 - clip_low))
    bound = np.where(advantages > 0, 1 + clip_high, 1 - clip_low)
    loss = -np.where(held, bound, ratio) * advantages
    return loss, -np.where(held, 0.0, ratio) * advantages


def cispo_reference(logp, old_logp, advantages, is_weight_min, is_weight_max):
    weight = np.clip(np.exp(logp - old_logp), is_weight_min, is_weight_max)
    return -weight * advantages * logp, -weight * advantages


def loss_and_gradient(loss, logp, *arguments, **bounds):
    logp = torch.tensor(logp, requires_grad=True)
    values = loss(logp, *map(torch.tensor, arguments), **bounds)
    values.sum().backward()
    return values.detach().numpy(), logp.grad.numpy()


@st.composite
def tokens(draw):
    size = draw(st.integers(1, 12))
    logp = draw(st.lists(st.floats(-8, 0), min_size=size, max_size=size))
    change = draw(st.lists(st.floats(-2.5, 2.5), min_size=size, max_size=size))
    advantages = draw(st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=size, max_size=size))
    # A ratio exactly on a bound has no derivative; the reference and autograd may choose differently.
    ratio = np.exp(np.array(change))
    on_bound = np.any(np.abs(ratio[:, None] - [0.8, 1.2, 1.28, 0.5, 2.0, 6.0]) < 1e-9, axis=1)
    change = np.where(on_bound, 0.0, change)
    return np.array(logp), np.array(logp) - change, np.array(advantages)


@settings(derandomize=True, deadline=None)
@given(tokens(), st.sampled_from([0.2, 0.28]))
def test_grpo_matches_the_formula(arguments, clip_high):
    value, gradient = loss_and_gradient(grpo_token_loss, *arguments, clip_low=0.2, clip_high=clip_high)
    expected_value, expected_gradient = grpo_reference(*arguments, 0.2, clip_high)
    np.testing.assert_allclose(value, expected_value, atol=1e-6, rtol=0)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6, rtol=0)


@settings(derandomize=True, deadline=None)
@given(tokens(), st.sampled_from([(0.0, 6.0), (0.5, 2.0)]))
def test_cispo_matches_the_formula(arguments, bounds):
    value, gradient = loss_and_gradient(
        cispo_token_loss, *arguments, is_weight_min=bounds[0], is_weight_max=bounds[1]
    )
    expected_value, expected_gradient = cispo_reference(*arguments, *bounds)
    np.testing.assert_allclose(value, expected_value, atol=1e-6, rtol=0)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6, rtol=0)


def test_grpo_clip_on_both_sides_and_both_signs():
    ratio = np.array([1.5, 1.5, 0.5, 0.5, 1.1, 0.9])
    advantages = np.array([2.0, -2.0, 2.0, -2.0, 2.0, -2.0])
    value, gradient = loss_and_gradient(
        grpo_token_loss, np.log(ratio), np.zeros(6), advantages, clip_low=0.2, clip_high=0.28
    )
    # The clip holds the first (1.28) and the fourth (0.8); elsewhere the smaller product is unclipped.
    np.testing.assert_allclose(value, [-2.56, 3.0, -1.0, 1.6, -2.2, 1.8])
    np.testing.assert_allclose(gradient, [0, 3.0, -1.0, 0, -2.2, 1.8])


def test_dual_clip_bounds_the_loss_of_negative_advantages():
    ratio = np.array([2.0, 5.0, 5.0, 0.5])
    advantages = np.array([-2.0, -2.0, 2.0, -2.0])
    bounds = {"clip_low": 0.2, "clip_high": 0.2}
    value, gradient = loss_and_gradient(
        grpo_token_loss, np.log(ratio), np.zeros(4), advantages, **bounds, dual_clip=3.0
    )
    np.testing.assert_allclose(value, [4.0, 6.0, -2.4, 1.6])
    np.testing.assert_allclose(gradient, [4.0, 0, 0, 0])
    without, _ = loss_and_gradient(grpo_token_loss, np.log(ratio), np.zeros(4), advantages, **bounds)
    np.testing.assert_allclose(without, [4.0, 10.0, -2.4, 1.6])


def test_cispo_weight_is_clamped_and_carries_no_gradient():
    logp = np.log([0.8, 0.2, 0.05])
    value, gradient = loss_and_gradient(
        cispo_token_loss, logp, np.log([0.1, 0.2, 0.5]), np.array([1.0, -1.0, 2.0]),
        is_weight_min=0.5, is_weight_max=6.0,
    )  # fmt: skip
    # Ratios 8, 1, 0.1 become weights 6, 1, 0.5; the gradient is -weight x A and nothing else.
    np.testing.assert_allclose(gradient, [-6.0, 1.0, -1.0])
    np.testing.assert_allclose(value, [-6.0, 1.0, -1.0] * logp)


@settings(derandomize=True, deadline=None)
@given(tokens())
def test_at_ratio_one_grpo_dapo_and_cispo_have_the_same_gradient(arguments):
    logp, _, advantages = arguments
    _, grpo = loss_and_gradient(grpo_token_loss, logp, logp, advantages, clip_low=0.2, clip_high=0.2)
    _, dapo = loss_and_gradient(grpo_token_loss, logp, logp, advantages, clip_low=0.2, clip_high=0.28)
    _, cispo = loss_and_gradient(
        cispo_token_loss, logp, logp, advantages, is_weight_min=0.0, is_weight_max=6.0
    )
    np.testing.assert_array_equal(grpo, -advantages)
    np.testing.assert_array_equal(dapo, grpo)
    np.testing.assert_array_equal(cispo, grpo)


def test_old_logp_may_be_logp_itself():
    logp = torch.tensor([-1.0, -2.0], requires_grad=True)
    advantages = torch.tensor([1.0, -0.5])
    for loss in (
        grpo_token_loss(logp, logp, advantages, clip_low=0.2, clip_high=0.2),
        cispo_token_loss(logp, logp, advantages, is_weight_min=0.0, is_weight_max=6.0),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), logp)
        assert torch.equal(gradient, -advantages)


def test_k3_by_hand_and_its_gradient():
    logp = torch.tensor([-1.0, -1.0, -1.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    divergence = kl_k3(logp, logp.detach() + q.log())
    torch.testing.assert_close(divergence, q - q.log() - 1)
    divergence.sum().backward()
    # d/dlogp (q - ln q - 1) = 1 - q
    torch.testing.assert_close(logp.grad, 1 - q)


@settings(derandomize=True, deadline=None)
@given(st.floats(-90, 90, width=32))
def test_k3_is_never_negative_nor_infinite(difference):
    divergence = kl_k3(torch.tensor([0.0]), torch.tensor([difference])).item()
    assert 0 <= divergence < 1e9


def test_k3_pulls_back_a_policy_that_ran_far_from_its_reference():
    logp = torch.tensor([-0.1], requires_grad=True)
    kl_k3(logp, torch.tensor([-50.0])).backward()
    assert logp.grad.item() == pytest.approx(1)


def test_large_log_ratios_stay_finite():
    logp = torch.tensor([0.0, -200.0, 0.0, -200.0], requires_grad=True)
    old_logp = torch.tensor([-200.0, 0.0, -200.0, 0.0])
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0])
    for loss in (
        grpo_token_loss(logp, old_logp, advantages, clip_low=0.2, clip_high=0.2),
        cispo_token_loss(logp, old_logp, advantages, is_weight_min=0.0, is_weight_max=6.0),
        kl_k3(logp, old_logp),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), logp)
        assert loss.isfinite().all() and gradient.isfinite().all()


def test_half_precision_is_computed_in_float32():
    logp, old_logp = torch.tensor([-1.0, -2.0]).bfloat16(), torch.tensor([-1.0625, -1.875]).bfloat16()
    advantages = torch.tensor([1.0, -1.0])
    exact = (logp.double(), old_logp.double(), advantages.double())
    for loss, bounds in (
        (grpo_token_loss, {"clip_low": 0.2, "clip_high": 0.2}),
        (cispo_token_loss, {"is_weight_min": 0.0, "is_weight_max": 6.0}),
    ):
        value = loss(logp, old_logp, advantages, **bounds)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), loss(*exact, **bounds), atol=1e-6, rtol=0)
    assert kl_k3(logp, old_logp).dtype == torch.float32


@pytest.mark.parametrize("maximum", [1.0, 0.2, -1.0, float("nan")])
def test_a_cispo_maximum_of_at_most_one_is_refused(maximum):
    with pytest.raises(UserError, match="is_weight_max"):
        cispo_token_loss(*torch.zeros(3, 2), is_weight_min=0.0, is_weight_max=maximum)


@pytest.mark.parametrize("minimum", [-0.1, 6.0, 7.0, float("nan")])
def test_a_cispo_minimum_out_of_range_is_refused(minimum):
    with pytest.raises(UserError, match="is_weight_min"):
        cispo_token_loss(*torch.zeros(3, 2), is_weight_min=minimum, is_weight_max=6.0)


@pytest.mark.parametrize(
    "bounds",
    [
        {"clip_low": -0.1, "clip_high": 0.2},
        {"clip_low": 0.2, "clip_high": -0.1},
        {"clip_low": 0.2, "clip_high": 0.2, "dual_clip": 1.0},
    ],
)
def test_clips_out_of_range_are_refused(bounds):
    with pytest.raises(UserError, match="clip"):
        grpo_token_loss(*torch.zeros(3, 2), **bounds)


def two_rollouts(first: float, second: float) -> TokenBatch:
    """A rollout of two tokens with the ratios 4 and 1, one of a token with the ratio 2, and advantages."""
    log_two = math.log(2.0)
    return TokenBatch(
        logp=torch.tensor([2 * log_two, 0.0, log_two], requires_grad=True),
        old_logp=torch.zeros(3),
        advantages=torch.tensor([first, first, second]),
        rollout_index=torch.tensor([0, 0, 1]),
    )


def test_gspo_by_hand():
    """The ratios 4 and 1 of the first rollout have the geometric mean 2; that of the second is 2 too."""
    inside = gspo(two_rollouts(1.0, -1.0), clip_low=0.5, clip_high=3.0)
    torch.testing.assert_close(inside.detach(), torch.tensor([-2.0, -2.0, 2.0]))
    # clipped at 1.5 where that lowers the gain: for A > 0, not for A < 0
    tokens = two_rollouts(1.0, -1.0)
    clipped = gspo(tokens, clip_low=0.5, clip_high=0.5)
    torch.testing.assert_close(clipped.detach(), torch.tensor([-1.5, -1.5, 2.0]))
    clipped.sum().backward()
    # a clipped rollout teaches nothing; of the other, d(-s A)/d logp = s
    torch.testing.assert_close(tokens.logp.grad, torch.tensor([0.0, 0.0, 2.0]))


def test_gspo_gives_each_token_the_gradient_of_its_rollouts_mean():
    """d(s A)/d logp_t = s A / |y|; each of the two tokens has the rollout's loss, so together s A each."""
    tokens = two_rollouts(1.0, 0.0)
    gspo(tokens, clip_low=0.5, clip_high=3.0).sum().backward()
    torch.testing.assert_close(tokens.logp.grad, torch.tensor([-2.0, -2.0, 0.0]))


def test_gmpo_by_hand():
    """Log-ratios 2 ln 2 and 0, bound to ln 2 before the mean: (ln 2 + 0) / 2, so the ratio is sqrt(2)."""
    tokens = two_rollouts(1.0, -1.0)
    loss = gmpo(tokens, clip_low=math.log(2.0), clip_high=math.log(2.0))
    torch.testing.assert_close(loss.detach(), torch.tensor([-math.sqrt(2.0), -math.sqrt(2.0), 2.0]))
    loss.sum().backward()
    # the clipped token has no gradient of its own; the other that of half a mean, from both tokens' losses
    torch.testing.assert_close(tokens.logp.grad, torch.tensor([0.0, -math.sqrt(2.0), 2.0]))


def test_gmpo_bounds_falling_ratios_where_the_advantage_is_negative():
    """A log-ratio of -2 ln 2 counts as -ln 2 for A < 0, a loss of 1/2; for A > 0 it counts in full, -1/4."""
    for advantage, expected in ((-1.0, 0.5), (1.0, -0.25)):
        tokens = TokenBatch(
            torch.tensor([-2 * math.log(2.0)]),
            torch.zeros(1),
            torch.tensor([advantage]),
            torch.zeros(1, dtype=torch.int64),
        )
        loss = gmpo(tokens, clip_low=math.log(2.0), clip_high=math.log(2.0))
        torch.testing.assert_close(loss, torch.tensor([expected]))


def test_on_policy_all_losses_of_whole_rollouts_have_grpos_gradient():
    """At ratio 1, where a rollout's tokens sum to its length times their mean."""
    gradients = []
    for loss in (grpo, gspo, gmpo):
        logp = torch.tensor([-1.0, -2.0, -0.5, -0.3], requires_grad=True)
        index = torch.tensor([0, 0, 0, 1])
        tokens = TokenBatch(logp, logp.detach(), torch.tensor([0.7, 0.7, 0.7, -0.2]), index)
        loss(tokens).sum().backward()
        gradients.append(logp.grad)
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


def four_tokens(old: float = 0.0) -> TokenBatch:
    """Covariances: mean A is 0 and mean log p is -2, so 1 (-1+2) = 1, 1 (-3+2) = -1, -1 0 = 0 and again 0."""
    logp = torch.tensor([-1.0, -3.0, -2.0, -2.0], requires_grad=True)
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0])
    entropy = torch.tensor([0.1, 0.9, 0.5, 0.3])
    return TokenBatch(logp, logp.detach() - old, advantages, torch.tensor([0, 0, 1, 1]), entropy)


def gradient(loss: torch.Tensor, tokens: TokenBatch) -> list[float]:
    return torch.autograd.grad(loss.sum(), tokens.logp)[0].tolist()


def test_clip_cov_leaves_out_the_gradient_of_one_token():
    """The first has the only covariance within (0.5, 5); the plain gradient is -A."""
    tokens = four_tokens()
    assert gradient(clip_cov(tokens, cov_min=0.5), tokens) == [0.0, -1.0, 1.0, 1.0]
    assert gradient(clip_cov(tokens, cov_min=1.5), tokens) == [-1.0, -1.0, 1.0, 1.0]


def test_kl_cov_penalises_the_token_of_the_highest_covariance():
    """At r = 2 the gradient is -2 A, and + 0.5 for |log r|; at r = 1 the penalty has none."""
    tokens = four_tokens(old=math.log(2))
    found = gradient(kl_cov(tokens, cov_share=0.25, cov_penalty=0.5), tokens)
    assert found == pytest.approx([-1.5, -2.0, 2.0, 2.0])
    tokens = four_tokens()
    assert gradient(kl_cov(tokens, cov_share=0.25, cov_penalty=0.5), tokens) == [-1.0, -1.0, 1.0, 1.0]


def test_high_entropy_trains_on_the_least_certain_tokens():
    tokens = four_tokens()
    assert gradient(high_entropy(tokens, entropy_share=0.5), tokens) == [0.0, -1.0, 1.0, 0.0]
    assert gradient(high_entropy(tokens, entropy_share=1.0), tokens) == [-1.0, -1.0, 1.0, 1.0]
