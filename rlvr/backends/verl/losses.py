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


def policy_loss(token_loss: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, dict]]:
    """A policy loss of verl's: the token loss, aggregated, and the metrics that verl's own losses have.

    Args:
        token_loss: of log-probabilities, old ones and advantages, the mask and verl's actor config; it
            gives the loss of each token and the share of tokens whose gradient is cut, a 0-d tensor.
    """

    def aggregated(
        old_log_prob: Tensor,
        log_prob: Tensor,
        advantages: Tensor,
        response_mask: Tensor,
        loss_agg_mode: str = "token-mean",
        config: Any = None,
        rollout_is_weights: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        """The mean over the whole optimizer step, whose token count verl keeps in `global_batch_info`.

        Args:
            old_log_prob, log_prob, advantages: [rollouts, longest completion].
            response_mask: same shape, true on completion tokens.
            loss_agg_mode: one of verl's.
            config: verl's actor config.
            rollout_is_weights: same shape, truncated importance weights of the sampling engine.
        """
        mask = response_mask.bool()
        loss_RT, clipped = token_loss(log_prob, old_log_prob, advantages, mask, config)
        if rollout_is_weights is not None:
            loss_RT = loss_RT * rollout_is_weights
        loss = agg_loss(loss_RT, mask, loss_agg_mode, **config.global_batch_info)
        moved = (old_log_prob - log_prob).detach()[mask].sum() / max(int(mask.sum()), 1)
        return loss, {
            "actor/pg_clipfrac": clipped.item(),
            "actor/ppo_kl": moved.item(),
            "actor/pg_clipfrac_lower": 0.0,
        }

    return aggregated


def grpo(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, config: Any
) -> tuple[Tensor, Tensor]:
    """`grpo_token_loss`; DAPO is this with clip_ratio_high above clip_ratio_low.

    `clip_ratio_c` is the dual clip, infinite for none.
    """
    dual_clip = None if math.isinf(config.clip_ratio_c) else config.clip_ratio_c
    clips = {"clip_low": config.clip_ratio_low, "clip_high": config.clip_ratio_high}
    loss_RT = grpo_token_loss(logp, old_logp, advantages, dual_clip=dual_clip, **clips)
    return loss_RT, clip_fraction(logp[mask], old_logp[mask], advantages[mask], **clips)


def cispo(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, config: Any
) -> tuple[Tensor, Tensor]:
    """`cispo_token_loss`; bounds are 1 - clip_ratio_low and 1 + clip_ratio_high, as in verl."""
    lowest, highest = 1 - config.clip_ratio_low, 1 + config.clip_ratio_high
    loss_RT = cispo_token_loss(logp, old_logp, advantages, is_weight_min=lowest, is_weight_max=highest)
    ratio = (logp - old_logp).detach()[mask].exp()
    return loss_RT, ((ratio < lowest) | (ratio > highest)).sum() / max(ratio.numel(), 1)


POLICY_LOSSES = {"rlvr_grpo": policy_loss(grpo), "rlvr_cispo": policy_loss(cispo)}
