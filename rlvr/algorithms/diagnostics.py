"""Single numbers that tell whether an optimizer step was sound; to be taken over all its tokens at once."""

from collections.abc import Callable

import torch
from torch import Tensor

from rlvr.algorithms.losses import TokenBatch, capped_log_ratio


def clip_fraction(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, *, clip_low: float, clip_high: float
) -> Tensor:
    """Share of tokens in [0, 1] whose GRPO gradient is cut by the clip; 0 for no tokens.

    These are ratios above 1 + clip_high with A > 0 and below 1 - clip_low with A < 0; a dual
    clip is not counted. All arguments are 1-D over tokens; returns a 0-d float32 tensor.
    """
    ratio = capped_log_ratio(logp, old_logp).exp()
    clipped = torch.where(advantages > 0, ratio > 1 + clip_high, ratio < 1 - clip_low) & (advantages != 0)
    return clipped.sum() / max(clipped.numel(), 1)


def _grpo_clipped(tokens: TokenBatch, *, clip_low: float, clip_high: float) -> Tensor:
    return clip_fraction(*tokens[:3], clip_low=clip_low, clip_high=clip_high)


def _cispo_clipped(tokens: TokenBatch, *, is_weight_min: float, is_weight_max: float) -> Tensor:
    ratio = capped_log_ratio(tokens.logp, tokens.old_logp).exp()
    return ((ratio < is_weight_min) | (ratio > is_weight_max)).float().mean()


def _gspo_clipped(tokens: TokenBatch, *, clip_low: float, clip_high: float) -> Tensor:
    log_ratio = tokens.mean_over_rollouts(capped_log_ratio(tokens.logp, tokens.old_logp))
    same = torch.zeros_like(log_ratio)
    return clip_fraction(log_ratio, same, tokens.advantages, clip_low=clip_low, clip_high=clip_high)


def _gmpo_clipped(tokens: TokenBatch, *, clip_low: float, clip_high: float) -> Tensor:
    log_ratio = capped_log_ratio(tokens.logp, tokens.old_logp)
    outside = torch.where(tokens.advantages > 0, log_ratio > clip_high, log_ratio < -clip_low)
    return (outside & (tokens.advantages != 0)).float().mean()


# of a loss: the share of tokens that its bounds cut, with the same keys; a loss need not have one
CLIP_FRACTIONS: dict[str, Callable[..., Tensor]] = {
    "grpo": _grpo_clipped,
    "cispo": _cispo_clipped,
    "gspo": _gspo_clipped,
    "gmpo": _gmpo_clipped,
    "clip_cov": _grpo_clipped,
    "high_entropy": _grpo_clipped,
}


def effective_sample_size(log_ratio: Tensor) -> Tensor:
    """(sum w)^2 / (n sum w^2) with w = exp(log_ratio): 1 when all weights agree, 1/n when one has it all.

    `log_ratio` is 1-D over tokens; returns a 0-d float64 tensor in (0, 1], 1 for no tokens.
    """
    # Softmax is w / sum w without overflow; the quotient does not depend on the scale of w.
    share = torch.softmax(log_ratio.double(), dim=0)
    return (1 / (share.numel() * share.square().sum())).clamp(max=1)
