"""Losses, to be minimised: functions of all tokens of a micro-batch, whole rollouts always.

A loss of `LOSSES` gets a `TokenBatch` and gives every token its loss, [M]; its keyword parameters are the
keys of `algorithm` that it reads. Weighting the tokens, summing them and dividing by what the whole optimizer
step counts is the learner's business. DAPO is GRPO with clip_high above clip_low.

Half-precision inputs are computed in float32. A log-ratio is cut at +20 before it meets exp: e^20 is
5e8, far outside every clip range, and still finite. Below, exp goes to 0 by itself.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from rlvr.config.limits import Limits
from rlvr.errors import UserError

MAX_LOG_RATIO = 20.0


class TokenBatch(NamedTuple):
    """The M completion tokens of some whole rollouts, rollout after rollout.

    Attributes:
        logp: float [M], log-probabilities under the policy that is trained; the only one with a gradient.
        old_logp: float [M], before the update.
        advantages: float [M], the advantage of each token's rollout.
        rollout_index: int64 [M], the rollout of each token, from 0 on, never falling.
        entropy: float [M], of the policy where it chose the token, nats, without a gradient.
    """

    logp: Tensor
    old_logp: Tensor
    advantages: Tensor
    rollout_index: Tensor
    entropy: Tensor | None = None

    def mean_over_rollouts(self, values: Tensor) -> Tensor:
        """The mean of a number a token over its rollout, at every token of it, [M]."""
        rollouts = int(self.rollout_index[-1]) + 1 if len(self.rollout_index) else 0
        total = values.new_zeros(rollouts).index_add(0, self.rollout_index, values)
        lengths = self.rollout_index.bincount(minlength=rollouts)
        return (total / lengths.clamp(min=1))[self.rollout_index]


def grpo_token_loss(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None = None,
) -> Tensor:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) with r = exp(logp - old_logp) (F-GRPO, eq. 14).

    Args:
        logp: log-probabilities under the policy that is trained; the only argument with a gradient.
        old_logp: log-probabilities before the update; may be `logp` itself, then r is 1.
        advantages: the advantage of each token's rollout.
        clip_low: how far r counts below 1; 0.2 in GRPO and DAPO.
        clip_high: how far r counts above 1; 0.2 in GRPO, 0.28 in DAPO.
        dual_clip: if given, the loss of a token with A < 0 is at most -dual_clip A (arXiv 1912.09729).

    Raises:
        UserError: a negative clip, or a dual_clip of at most 1.
    """
    if not (clip_low >= 0 and clip_high >= 0):
        raise UserError(f"clip_low {clip_low}, clip_high {clip_high}: both must be at least 0")
    if dual_clip is not None and not dual_clip > 1:
        raise UserError(f"dual_clip {dual_clip} is not accepted: it must be above 1, or null for none")
    ratio = capped_log_ratio(logp, old_logp.detach()).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    if dual_clip is not None:
        gain = torch.where(advantages < 0, torch.maximum(gain, dual_clip * advantages), gain)
    return -gain


def cispo_token_loss(
    logp: Tensor,
    old_logp: Tensor,
    advantages: Tensor,
    *,
    is_weight_min: float,
    is_weight_max: float,
) -> Tensor:
    """-sg(clamp(r, is_weight_min, is_weight_max)) A logp with r = exp(logp - old_logp) (F-GRPO, eq. 15-16).

    The weight carries no gradient (sg), so that a clamped token still teaches. Bounds are absolute: the
    paper's offsets 1.0 and 5.0 are a minimum of 0 and a maximum of 6.

    Args:
        logp: log-probabilities under the policy that is trained; the only argument with a gradient.
        old_logp: log-probabilities before the update; may be `logp` itself, then r is 1.
        advantages: the advantage of each token's rollout.
        is_weight_min: smallest weight, at least 0.
        is_weight_max: largest weight, above 1.

    Raises:
        UserError: a maximum of at most 1 (every on-policy token would be cut), a negative minimum, or a
            minimum that is not below the maximum.
    """
    if not is_weight_max > 1:
        raise UserError(
            f"is_weight_max {is_weight_max} is not accepted: it bounds the weight itself and must be above 1 "
            "(a bound given as an offset plus 1)"
        )
    if not 0 <= is_weight_min < is_weight_max:
        raise UserError(
            f"is_weight_min {is_weight_min} is not accepted: it must be at least 0 and below "
            f"is_weight_max={is_weight_max}; 0 sets no lower bound"
        )
    weight = capped_log_ratio(logp, old_logp).detach().exp().clamp(is_weight_min, is_weight_max)
    return -weight * advantages * logp


def kl_k3(logp: Tensor, reference_logp: Tensor) -> Tensor:
    """The k3 estimate q - ln q - 1, at least 0, of KL(policy || reference); q = exp(reference_logp - logp).

    `reference_logp` gets no gradient.
    """
    log_q = capped_log_ratio(reference_logp.detach(), logp)
    return log_q.expm1() - log_q


def capped_log_ratio(logp: Tensor, other_logp: Tensor) -> Tensor:
    """logp - other_logp in float32 or better, at most MAX_LOG_RATIO."""
    dtype = torch.promote_types(torch.promote_types(logp.dtype, other_logp.dtype), torch.float32)
    return (logp.to(dtype) - other_logp.to(dtype)).clamp(max=MAX_LOG_RATIO)


def grpo(
    tokens: TokenBatch,
    *,
    clip_low: Annotated[float, Limits(above=0, at_most=1)] = 0.2,
    clip_high: Annotated[float, Limits(above=0)] = 0.2,
    dual_clip: Annotated[float | None, Limits(above=1, accepted="above 1, or null", nearest="3.0")] = None,
) -> Tensor:
    """`grpo_token_loss` of every token.

    Args:
        clip_low: how far the ratio counts below 1; 0.2 in GRPO and DAPO.
        clip_high: how far the ratio counts above 1; 0.2 in GRPO, 0.28 in DAPO.
        dual_clip: with A < 0 the loss is at most -dual_clip A; null: no such bound.
    """
    return grpo_token_loss(*tokens[:3], clip_low=clip_low, clip_high=clip_high, dual_clip=dual_clip)


def cispo(
    tokens: TokenBatch,
    *,
    is_weight_min: Annotated[float, Limits(at_least=0)] = 0.0,
    is_weight_max: Annotated[
        float,
        Limits(
            above=1,
            accepted="an absolute maximum above 1 (on-policy tokens have weight 1)",
            nearest="6.0, the paper's 1 + 5.0",
        ),
    ] = 6.0,
) -> Tensor:
    """`cispo_token_loss` of every token.

    Args:
        is_weight_min: smallest importance weight; 0 sets no bound.
        is_weight_max: largest importance weight, the paper's offset plus 1.
    """
    return cispo_token_loss(*tokens[:3], is_weight_min=is_weight_min, is_weight_max=is_weight_max)


def gspo(
    tokens: TokenBatch,
    *,
    clip_low: Annotated[float, Limits(above=0, at_most=1)] = 3e-4,
    clip_high: Annotated[float, Limits(above=0)] = 4e-4,
) -> Tensor:
    """-min(s A, clip(s, 1 - clip_low, 1 + clip_high) A), s = (pi(y|x) / pi_old(y|x))^(1/|y|) (GSPO, eq. 5-7).

    Group Sequence Policy Optimization (arXiv 2507.18071): one ratio a rollout, the geometric mean of its
    tokens'. Every token of a rollout has the rollout's loss, so `aggregation=sequence_mean` is the paper's.

    Args:
        clip_low: how far a rollout's ratio counts below 1.
        clip_high: how far it counts above 1.
    """
    mean_log_ratio = tokens.mean_over_rollouts(capped_log_ratio(tokens.logp, tokens.old_logp.detach()))
    ratio = mean_log_ratio.exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -torch.minimum(ratio * tokens.advantages, clipped * tokens.advantages)


def gmpo(
    tokens: TokenBatch,
    *,
    clip_low: Annotated[float, Limits(above=0)] = 0.4,
    clip_high: Annotated[float, Limits(above=0)] = 0.4,
) -> Tensor:
    """-A (prod_t r_t)^(1/|y|), each r_t clipped to [e^-clip_low, e^clip_high] where that lowers the gain.

    Geometric-Mean Policy Optimization (arXiv 2507.20673, eq. 4): bounds are of the log-ratio, and apply to
    single tokens before the mean: from above where A > 0, from below where A < 0. Every token of a rollout
    has the rollout's loss, so `aggregation=sequence_mean` is the paper's.

    Args:
        clip_low: how far a token's log-ratio counts below 0, with A < 0.
        clip_high: how far it counts above 0, with A > 0.
    """
    log_ratio = capped_log_ratio(tokens.logp, tokens.old_logp.detach())
    clipped = torch.where(
        tokens.advantages > 0, log_ratio.clamp(max=clip_high), log_ratio.clamp(min=-clip_low)
    )
    return -tokens.advantages * tokens.mean_over_rollouts(clipped).exp()


def clip_cov(
    tokens: TokenBatch,
    *,
    clip_low: Annotated[float, Limits(above=0, at_most=1)] = 0.2,
    clip_high: Annotated[float, Limits(above=0)] = 0.2,
    cov_share: Annotated[float, Limits(above=0, at_most=1)] = 2e-4,
    cov_min: Annotated[float, Limits(at_least=0)] = 1.0,
    cov_max: Annotated[float, Limits(above=0)] = 5.0,
) -> Tensor:
    """GRPO without the gradient of a few tokens whose (A - mean A)(log p - mean log p) is high.

    Clip-Cov (Cui et al. 2025, arXiv 2505.22617, as `compute_policy_loss_clip_cov` of its code has it):
    of the tokens with a covariance between the bounds that GRPO's clip does not cut, some drawn at random.
    Means, and the share, are those of a micro-batch. The draw depends on nothing but how many there are, so a
    run that goes on has the same bits.

    Args:
        clip_low: how far the ratio counts below 1.
        clip_high: how far it counts above 1.
        cov_share: of all tokens, what is left out at most; one token at least, where any qualifies.
        cov_min: covariances above it qualify.
        cov_max: covariances below it do.
    """
    loss = grpo_token_loss(*tokens[:3], clip_low=clip_low, clip_high=clip_high)
    unclipped = -capped_log_ratio(tokens.logp, tokens.old_logp.detach()).exp() * tokens.advantages
    covariance = _covariance(tokens)
    (fits,) = ((covariance > cov_min) & (covariance < cov_max) & (loss <= unclipped)).nonzero(as_tuple=True)
    number = max(int(cov_share * len(loss)), 1)
    order = torch.randperm(len(fits), generator=torch.Generator().manual_seed(len(fits)))
    kept = torch.ones_like(loss)
    kept[fits[order.to(fits.device)[:number]]] = 0
    return loss * kept


def kl_cov(
    tokens: TokenBatch,
    *,
    cov_share: Annotated[float, Limits(above=0, at_most=1)] = 2e-3,
    cov_penalty: Annotated[float, Limits(at_least=0)] = 1.0,
) -> Tensor:
    """-r A, plus cov_penalty |log r| of the tokens whose (A - mean A)(log p - mean log p) is highest.

    KL-Cov (Cui et al. 2025, arXiv 2505.22617, as `compute_policy_loss_kl_cov` of its code has it),
    without a clip. In the first update of a batch r is 1 and |log r| has no gradient: with one update a batch
    it is plain policy gradient. Means, and the share, are those of a micro-batch.

    Args:
        cov_share: of all tokens, what is penalised; one token at least.
        cov_penalty: the coefficient.
    """
    log_ratio = capped_log_ratio(tokens.logp, tokens.old_logp.detach())
    number = min(max(int(cov_share * len(log_ratio)), 1), len(log_ratio))
    penalised = torch.zeros_like(log_ratio)
    penalised[_covariance(tokens).topk(number).indices] = cov_penalty
    return penalised * log_ratio.abs() - log_ratio.exp() * tokens.advantages


def high_entropy(
    tokens: TokenBatch,
    *,
    clip_low: Annotated[float, Limits(above=0, at_most=1)] = 0.2,
    clip_high: Annotated[float, Limits(above=0)] = 0.28,
    entropy_share: Annotated[float, Limits(above=0, at_most=1)] = 0.2,
) -> Tensor:
    """DAPO's loss on the tokens of highest entropy alone; the others count in the normaliser.

    Wang et al. 2025 ("Beyond the 80/20 rule", arXiv 2506.01939), a reading: its abstract and TRL's
    `top_entropy_quantile` were seen. The share is of the tokens of a micro-batch, in the place of the paper's
    batch; tokens as uncertain as the last one kept are kept too.

    Args:
        clip_low: how far the ratio counts below 1.
        clip_high: how far it counts above 1.
        entropy_share: of all tokens, what is trained on.
    """
    loss = grpo_token_loss(*tokens[:3], clip_low=clip_low, clip_high=clip_high)
    if tokens.entropy is None:
        raise UserError("algorithm.loss=high_entropy got tokens without an entropy: accepted is one a token")
    if not len(loss):
        return loss
    number = max(round(entropy_share * len(loss)), 1)
    return loss * (tokens.entropy >= tokens.entropy.topk(number).values[-1])


def _covariance(tokens: TokenBatch) -> Tensor:
    """What a token adds to the covariance of advantage and log-probability over a micro-batch, [M]."""
    advantages, logp = tokens.advantages, tokens.logp.detach()
    return (advantages - advantages.mean()) * (logp - logp.mean())


# the options of `algorithm.loss`
LOSSES: dict[str, Callable[..., Tensor]] = {
    "grpo": grpo,
    "cispo": cispo,
    "gspo": gspo,
    "gmpo": gmpo,
    "clip_cov": clip_cov,
    "kl_cov": kl_cov,
    "high_entropy": high_entropy,
}
# those that take means or shares over a micro-batch, which is then a part of the method
BY_MICRO_BATCH = frozenset({"clip_cov", "kl_cov", "high_entropy"})
