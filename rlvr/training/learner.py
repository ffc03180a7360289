"""The update: several optimizer steps on one batch of rollouts.

Nothing is computed that does not change the gradient. Groups without signal are left out of forward and
backward but counted in the normaliser; what rollouts of a group share, the prompt and any first tokens, is
computed once; there is no padding; old log-probabilities are taken only for mini-batches that come after
the first weight change.
"""

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rlvr.algorithms import (
    cispo_token_loss,
    clip_fraction,
    effective_sample_size,
    grpo_token_loss,
    kl_k3,
    truncated_importance_weight,
)
from rlvr.config import Config
from rlvr.config.schema import AlgorithmConfig
from rlvr.data import Completion
from rlvr.policy.attention import PackedLayout
from rlvr.policy.packing import pack
from rlvr.policy.policy import Policy
from rlvr.policy.token_logprobs import backward_through_head, token_logprobs
from rlvr.training.batch import Batch, token_weights
from rlvr.training.distributed.optimizer_state import load_optimizer
from rlvr.training.distributed.ranks import full_tensor


@dataclass(slots=True)
class Pack:
    """Rollouts that go through the model together, flat over their M completion tokens.

    Tokens with one prefix have one log-probability. They stand together here, in the order of the layout's
    N prefixes, whatever rollouts they belong to.

    Attributes:
        layout: the tokens and who attends to whom.
        counts_N: int64, tokens of each prefix.
        advantage_M, weight_M, engine_logp_M: float32 per token; the weight is λ-GRPO's, or 1.
        old_logp_M: the trainer's log-probabilities before the update; None where the policy has not
            changed since, so that they are the current ones.
        reference_logp_M: the reference policy's, where there is a KL term.
    """

    layout: PackedLayout
    counts_N: Tensor
    advantage_M: Tensor
    weight_M: Tensor
    engine_logp_M: Tensor
    old_logp_M: Tensor | None = None
    reference_logp_M: Tensor | None = None


@dataclass(slots=True)
class MiniBatch:
    """What one optimizer step sees: its packs, and the normaliser of its loss."""

    packs: list[Pack]
    normaliser: float


@dataclass(slots=True)
class Rollout:
    """One completion on its way into a pack."""

    group: int
    completion: Completion
    advantage: float
    weights: Tensor


def token_loss(pack: Pack, logp_C: Tensor, chunk: slice, algorithm: AlgorithmConfig) -> Tensor:
    """Loss of each of the tokens `chunk` of a pack, weighted, not yet normalised."""
    advantage_C = pack.advantage_M[chunk]
    old_logp_C = logp_C.detach() if pack.old_logp_M is None else pack.old_logp_M[chunk]
    if algorithm.loss == "cispo":
        loss_C = cispo_token_loss(
            logp_C,
            old_logp_C,
            advantage_C,
            is_weight_min=algorithm.is_weight_min,
            is_weight_max=algorithm.is_weight_max,
        )
    else:
        loss_C = grpo_token_loss(
            logp_C,
            old_logp_C,
            advantage_C,
            clip_low=algorithm.clip_low,
            clip_high=algorithm.clip_high,
            dual_clip=algorithm.dual_clip,
        )
    if algorithm.mismatch_cap is not None:
        engine_logp_C = pack.engine_logp_M[chunk]
        loss_C = loss_C * truncated_importance_weight(old_logp_C, engine_logp_C, algorithm.mismatch_cap)
    if pack.reference_logp_M is not None:
        loss_C = loss_C + algorithm.kl_coefficient * kl_k3(logp_C, pack.reference_logp_M[chunk])
    return loss_C * pack.weight_M[chunk]


class Learner:
    """Owns the optimizer; changes the policy's weights in place.

    Args:
        reference: what a KL term pulls to; `policy` as it is now if none is given.

    Attributes:
        updates: optimizer steps taken so far.
    """

    def __init__(self, policy: Policy, config: Config, reference: Policy | None = None):
        self.policy = policy
        self.algorithm = config.algorithm
        self.training = config.training
        self.credit = config.credit.name
        self.updates = 0
        self.optimizer = torch.optim.AdamW(
            policy.model.parameters(),
            lr=config.training.learning_rate,
            betas=tuple(config.training.betas),
            weight_decay=config.training.weight_decay,
            fused=True,
        )
        self.reference = reference
        if config.algorithm.kl_coefficient > 0 and reference is None:
            self.reference = Policy(copy.deepcopy(policy.model).requires_grad_(False), policy.tokenizer)

    def update(self, batch: Batch) -> dict[str, float]:
        """One pass over the batch, an optimizer step for every `mini_batch_prompts` problems."""
        size = self.training.mini_batch_prompts
        starts = range(0, len(batch.groups), size)
        mini_batches = [
            self._mini_batch(batch, range(start, min(start + size, len(batch.groups)))) for start in starts
        ]
        for number, mini_batch in enumerate(mini_batches):
            for pack_ in mini_batch.packs:
                if number > 0:  # the first step still has the policy that sampled
                    engine = self.algorithm.old_logprobs == "engine"
                    pack_.old_logp_M = pack_.engine_logp_M if engine else self._logprobs(self.policy, pack_)
                if self.reference is not None:
                    pack_.reference_logp_M = self._logprobs(self.reference, pack_)
        health = Health()
        for mini_batch in mini_batches:
            self._step(mini_batch, health)
        return self._whole(health).metrics(self.algorithm)

    def _mini_batch(self, batch: Batch, groups: range) -> MiniBatch:
        """Pack the rollouts of some groups that change the gradient; count the tokens of all."""
        # with a KL or entropy term, rollouts without an advantage have a gradient too
        keep_all = self.algorithm.kl_coefficient > 0 or self.algorithm.entropy_coefficient != 0
        advantages = batch.advantage_R.tolist()
        counted_tokens = counted_rollouts = 0
        kept: list[Rollout] = []
        for g in groups:
            counted = batch.counted(g)
            counted_rollouts += len(counted)
            counted_tokens += sum(len(completion.token_ids) for _, completion in counted)
            weights = token_weights([completion for _, completion in counted], self.credit)
            kept += [
                Rollout(g, completion, advantages[index], weight)
                for (index, completion), weight in zip(counted, weights, strict=True)
                if keep_all or advantages[index] != 0
            ]
        if self.algorithm.aggregation == "constant_length":
            normaliser = counted_rollouts * self.training.sampling.max_tokens
        else:
            normaliser = counted_tokens
        return MiniBatch(self._packs(batch, kept), float(max(normaliser, 1)))

    def _packs(self, batch: Batch, rollouts: list[Rollout]) -> list[Pack]:
        packs = pack(
            [rollout.group for rollout in rollouts],
            [len(batch.groups[rollout.group].prompt_ids) for rollout in rollouts],
            [len(rollout.completion.token_ids) for rollout in rollouts],
            self.training.max_tokens_per_micro_batch,
        )
        return [self._pack(batch, [rollouts[i] for i in members]) for members in packs]

    def _pack(self, batch: Batch, rollouts: list[Rollout]) -> Pack:
        """Rollouts of a group stand together, so each prompt is in the pack once."""
        device = self.policy.device
        of_group = {
            g: [rollout.completion.token_ids for rollout in members]
            for g, members in itertools.groupby(rollouts, key=lambda rollout: rollout.group)
        }
        lengths = torch.tensor([len(rollout.completion.token_ids) for rollout in rollouts])
        advantage_R = torch.tensor([rollout.advantage for rollout in rollouts])
        engine_logp = [value for rollout in rollouts for value in rollout.completion.logprobs]
        layout = PackedLayout([batch.groups[g].prompt_ids for g in of_group], list(of_group.values()), device)
        order_M = layout.prefix_M.argsort(stable=True)
        return Pack(
            layout=layout,
            counts_N=layout.prefix_M.bincount(minlength=len(layout.targets_N)),
            advantage_M=torch.repeat_interleave(advantage_R, lengths).to(device)[order_M],
            weight_M=torch.cat([rollout.weights for rollout in rollouts]).to(device)[order_M],
            engine_logp_M=torch.tensor(engine_logp, device=device)[order_M],
        )

    def _hidden(self, policy: Policy, layout: PackedLayout) -> Tensor:
        hidden_TE = policy.hidden(layout.tokens_T, layout.positions_T, layout)
        return hidden_TE.index_select(0, layout.predictor_N)

    @torch.no_grad()
    def _logprobs(self, policy: Policy, pack_: Pack) -> Tensor:
        with self.policy.autocast(self.training.precision):
            hidden_NE = self._hidden(policy, pack_.layout)
            logp_N = token_logprobs(hidden_NE, policy.head, pack_.layout.targets_N)
        return logp_N.repeat_interleave(pack_.counts_N)

    def _accumulate_gradients(self, pack_: Pack, normaliser: float, health: "Health") -> None:
        entropy_coefficient = self.algorithm.entropy_coefficient
        ends = [0, *pack_.counts_N.cumsum(0).tolist()]

        def loss(logp_N: Tensor, entropy_N: Tensor, prefixes: slice) -> Tensor:
            counts_N = pack_.counts_N[prefixes]
            tokens = slice(ends[prefixes.start], ends[prefixes.stop])
            loss_C = token_loss(pack_, logp_N.repeat_interleave(counts_N), tokens, self.algorithm)
            if entropy_coefficient:
                loss_C = loss_C - entropy_coefficient * entropy_N.repeat_interleave(counts_N)
            total = loss_C.sum() / normaliser
            health.add_loss(total)
            return total

        logp_N, entropy_N = backward_through_head(
            self._hidden(self.policy, pack_.layout),
            self.policy.head,
            pack_.layout.targets_N,
            loss,
        )
        counts_N = pack_.counts_N
        health.add_tokens(pack_, logp_N.repeat_interleave(counts_N), entropy_N.repeat_interleave(counts_N))

    def _step(self, mini_batch: MiniBatch, health: "Health") -> None:
        # one context for all packs: under autocast it keeps the converted weights
        with self.policy.autocast(self.training.precision):
            for pack_ in mini_batch.packs:
                self._accumulate_gradients(pack_, mini_batch.normaliser, health)
        for group in self.optimizer.param_groups:
            warmup = max(self.training.warmup_steps, 1)
            group["lr"] = self.training.learning_rate * min(1.0, (self.updates + 1) / warmup)
        norm = torch.nn.utils.clip_grad_norm_(self.policy.model.parameters(), self.training.gradient_clip)
        health.gradient_norms.append(float(full_tensor(norm)))
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.updates += 1

    def _whole(self, health: "Health") -> "Health":
        """What the update tells, over all tokens of the batch."""
        return health

    def state_dict(self, folder: Path) -> dict:
        """What to go on from; a sharded optimizer's part of it goes to files in `folder` (a checkpoint)."""
        return {"updates": self.updates, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict, folder: Path) -> None:
        """Take over what `state_dict` gave, whatever the number of processes then and now."""
        self.updates = state["updates"]
        load_optimizer(self.policy.model, self.optimizer, state["optimizer"], folder)


class Health:
    """Collects what the optimizer steps of one batch tell, over all their tokens."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self.gradient_norms: list[float] = []
        # of each pack: log-probabilities now, before the update and the engine's; advantages; entropies
        self.tokens: list[tuple[Tensor, ...]] = []
        self.distinct = 0  # prefixes, of each pack anew

    def add_loss(self, loss: Tensor) -> None:
        self.losses.append(loss.detach())

    def add_tokens(self, pack_: Pack, logp_M: Tensor, entropy_M: Tensor) -> None:
        self.distinct += len(pack_.counts_N)
        old_logp_M = logp_M if pack_.old_logp_M is None else pack_.old_logp_M
        self.tokens.append((logp_M, old_logp_M, pack_.engine_logp_M, pack_.advantage_M, entropy_M))

    def metrics(self, algorithm: AlgorithmConfig) -> dict[str, float]:
        steps = len(self.gradient_norms)
        metrics = {
            "update/steps": float(steps),
            "update/loss": float(sum(self.losses)) / max(steps, 1),
            "update/gradient_norm": sum(self.gradient_norms) / max(steps, 1),
            "update/gradient_norm_max": max(self.gradient_norms, default=0.0),
            "tokens/trained": float(sum(len(logp_M) for logp_M, *_ in self.tokens)),
            "tokens/distinct": float(self.distinct),
        }
        if not self.tokens:
            return metrics
        logp, old_logp, engine_logp, advantage, entropy = (
            torch.cat(parts) for parts in zip(*self.tokens, strict=True)
        )
        if algorithm.loss == "cispo":
            ratio = (logp - old_logp).exp()
            clipped = (ratio < algorithm.is_weight_min) | (ratio > algorithm.is_weight_max)
            metrics["update/clip_fraction"] = clipped.float().mean().item()
        else:
            metrics["update/clip_fraction"] = clip_fraction(
                logp, old_logp, advantage, clip_low=algorithm.clip_low, clip_high=algorithm.clip_high
            ).item()
        metrics["update/entropy_trained"] = entropy.mean().item()
        # within the update: the policy moves away from the one that sampled
        metrics["update/log_ratio_mean"] = (logp - old_logp).mean().item()
        metrics["update/log_ratio_max"] = (logp - old_logp).abs().max().item()
        metrics["update/effective_sample_size"] = effective_sample_size(logp - old_logp).item()
        # before the update: engine and trainer have the same weights, so this should be 0
        metrics["mismatch/log_ratio_mean"] = (old_logp - engine_logp).mean().item()
        metrics["mismatch/log_ratio_max"] = (old_logp - engine_logp).abs().max().item()
        metrics["mismatch/effective_sample_size"] = effective_sample_size(old_logp - engine_logp).item()
        return metrics
