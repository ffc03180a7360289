"""Weights for rollouts of another policy than the one that the update begins with.

An engine samples with slightly other probabilities than the trainer has for the same weights; one step
off-policy it samples with the weights of the step before. The importance weight is the ratio of the two, of a
token or of a whole rollout; to bound its variance it is truncated, or what lies outside is masked.
"""

import torch
from torch import Tensor

from rlvr.algorithms.losses import MAX_LOG_RATIO, TokenBatch, capped_log_ratio
from rlvr.errors import UserError

MISMATCH_WEIGHTS = ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")


def mismatch_weight(
    tokens: TokenBatch, engine_logp: Tensor, kind: str, *, cap: float, floor: float | None = None
) -> tuple[Tensor, Tensor]:
    """The factor on each token's loss, [M], without gradient; and which of them were cut, bool [M].

    With r = exp(old_logp - engine_logp) of a token, or its product over the rollout: `truncate` is
    min(r, cap), truncated importance sampling; `mask` is r, or 0 above the cap and, where there is one, below
    the floor (IcePop).

    Args:
        engine_logp: float [M], under which the tokens were sampled.
        kind: one of MISMATCH_WEIGHTS.
        cap: above 0; 2 to 5 are customary.
        floor: of a mask (IcePop's is 1/2, with a cap of 5); None for none.

    Raises:
        UserError: a cap that is not above 0.
    """
    if not cap > 0:
        raise UserError(f"importance weight cap {cap} is not accepted: it must be above 0 (2 is customary)")
    level, how = kind.split("_")
    log_ratio = capped_log_ratio(tokens.old_logp, engine_logp).detach()
    if level == "sequence":
        rollouts = int(tokens.rollout_index[-1]) + 1 if len(tokens.rollout_index) else 0
        total = log_ratio.new_zeros(rollouts).index_add(0, tokens.rollout_index, log_ratio)
        log_ratio = total.clamp(max=MAX_LOG_RATIO)[tokens.rollout_index]
    ratio = log_ratio.exp()
    outside = ratio > cap
    if how == "truncate":
        return ratio.clamp(max=cap), outside
    if floor is not None:
        outside |= ratio < floor
    return torch.where(outside, 0.0, ratio), outside
