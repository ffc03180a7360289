"""Single numbers that tell whether an optimizer step was sound; to be taken over all its tokens at once."""

import torch
from torch import Tensor

from rlvr.algorithms.losses import capped_log_ratio


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


def effective_sample_size(log_ratio: Tensor) -> Tensor:
    """(sum w)^2 / (n sum w^2) with w = exp(log_ratio): 1 when all weights agree, 1/n when one has it all.

    `log_ratio` is 1-D over tokens; returns a 0-d float64 tensor in (0, 1], 1 for no tokens.
    """
    # Softmax is w / sum w without overflow; the quotient does not depend on the scale of w.
    share = torch.softmax(log_ratio.double(), dim=0)
    return (1 / (share.numel() * share.square().sum())).clamp(max=1)
