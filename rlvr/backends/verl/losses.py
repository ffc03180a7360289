"""Policy losses as verl asks for them, on rlvr's own token losses.

verl's `vanilla` can't be without a dual clip, and its `cispo` is the same as ours; both are written
on ours all the same, so that one function decides on either backend.
"""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor
from verl.trainer.ppo.core_algos import agg_loss

from rlvr.algorithms import cispo_token_loss, clip_fraction, grpo_token_loss


def grpo_policy_loss(
    old_log_prob: Tensor,
    log_prob: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """`grpo_token_loss`, aggregated; DAPO is this with clip_ratio_high above clip_ratio_low.

    Args:
        old_log_prob, log_prob, advantages: [rollouts, longest completion].
        response_mask: same shape, true on completion tokens.
        loss_agg_mode: one of verl's.
        config: verl's actor config. `clip_ratio_c` is the dual clip, infinite for none.
        rollout_is_weights: same shape, truncated importance weights of the sampling engine.

    Returns:
        The loss, a 0-d tensor, and the metrics that verl's own losses have.
    """
    dual_clip = None if math.isinf(config.clip_ratio_c) else config.clip_ratio_c
    clips = {"clip_low": config.clip_ratio_low, "clip_high": config.clip_ratio_high}
    loss_RT = grpo_token_loss(log_prob, old_log_prob, advantages, dual_clip=dual_clip, **clips)
    mask = response_mask.bool()
    clipped = clip_fraction(log_prob[mask], old_log_prob[mask], advantages[mask], **clips)
    return _aggregated(
        loss_RT, clipped, old_log_prob, log_prob, mask, loss_agg_mode, config, rollout_is_weights
    )


def cispo_policy_loss(
    old_log_prob: Tensor,
    log_prob: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """`cispo_token_loss`, aggregated; bounds are 1 - clip_ratio_low and 1 + clip_ratio_high, as in verl.

    Arguments and result are those of `grpo_policy_loss`.
    """
    lowest, highest = 1 - config.clip_ratio_low, 1 + config.clip_ratio_high
    loss_RT = cispo_token_loss(
        log_prob, old_log_prob, advantages, is_weight_min=lowest, is_weight_max=highest
    )
    mask = response_mask.bool()
    ratio = (log_prob - old_log_prob).detach()[mask].exp()
    clipped = ((ratio < lowest) | (ratio > highest)).sum() / max(ratio.numel(), 1)
    return _aggregated(
        loss_RT, clipped, old_log_prob, log_prob, mask, loss_agg_mode, config, rollout_is_weights
    )


def _aggregated(
    loss_RT: Tensor,
    clipped: Tensor,
    old_log_prob: Tensor,
    log_prob: Tensor,
    mask: Tensor,
    loss_agg_mode: str,
    config: Any,
    rollout_is_weights: Tensor | None,
) -> tuple[Tensor, dict[str, float]]:
    """The mean over the whole optimizer step, whose token count verl keeps in `global_batch_info`."""
    if rollout_is_weights is not None:
        loss_RT = loss_RT * rollout_is_weights
    loss = agg_loss(loss_RT, mask, loss_agg_mode, **config.global_batch_info)
    moved = (old_log_prob - log_prob).detach()[mask].sum() / max(int(mask.sum()), 1)
    metrics = {
        "actor/pg_clipfrac": clipped.item(),
        "actor/ppo_kl": moved.item(),
        "actor/pg_clipfrac_lower": 0.0,
    }
    return loss, metrics


POLICY_LOSSES: dict[str, Callable[..., tuple[Tensor, dict[str, float]]]] = {
    "rlvr_grpo": grpo_policy_loss,
    "rlvr_cispo": cispo_policy_loss,
}
