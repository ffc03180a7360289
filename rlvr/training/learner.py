"""The update: several optimizer steps on one batch of rollouts.

Nothing is computed that does not change the gradient. Rollouts of advantage 0 are left out of forward and
backward (but see `takes_all_rollouts`) and counted in the normaliser; what rollouts of a group share, the
prompt and any first tokens, is computed once; old log-probabilities are taken only for mini-batches that come
after the first weight change.
"""

import copy
import itertools
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from rlvr.algorithms import (
    CLIP_FRACTIONS,
    LOSSES,
    TokenBatch,
    effective_sample_size,
    kl_k3,
    mismatch_weight,
)
from rlvr.config import Config
from rlvr.config.plugins import added
from rlvr.config.registry import Method
from rlvr.config.schema import AlgorithmConfig
from rlvr.data import Completion
from rlvr.errors import UserError
from rlvr.policy.adapter import trained
from rlvr.policy.packing import pack_micro_batches
from rlvr.policy.policy import Policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.training.batch import Batch, engine_logprobs, takes_all_rollouts, token_weights
from rlvr.training.determinism import deterministic_kernels
from rlvr.training.distributed.optimizer_state import load_optimizer
from rlvr.training.distributed.ranks import full_tensor, local_shard, rank, world_size
from rlvr.training.optimizers import HostAdamW, OnDevice, build_optimizer, set_learning_rate
from rlvr.training.schedule import learning_rate
from rlvr.training.token_budget import TokenBudget


@dataclass(slots=True)
class Rollout:
    """One completion on its way into a micro-batch."""

    group: int
    completion: Completion
    advantage: float
    weights: Tensor


@dataclass(slots=True)
class MicroBatch:
    """Whole rollouts that go through the model together, flat over their M completion tokens.

    Attributes:
        rollouts: what it is made of.
        tree: the tokens and who attends to whom.
        rollout_index_M: int64, the rollout of each token, from 0 on.
        advantage_M, weight_M, engine_logp_M: float32 a token; the weight is λ-GRPO's, or 1.
        old_logp_M: the trainer's log-probabilities before the update, without dropout; None as long as the
            policy has not changed since and has none, so that they are the current ones.
        reference_logp_M: the reference policy's, where there is a KL term.
    """

    rollouts: list[Rollout]
    tree: PrefixTree
    rollout_index_M: Tensor
    advantage_M: Tensor
    weight_M: Tensor
    engine_logp_M: Tensor
    old_logp_M: Tensor | None = None
    reference_logp_M: Tensor | None = None

    def tokens(self, logp_M: Tensor) -> TokenBatch:
        """What a loss is a function of."""
        old_logp_M = logp_M.detach() if self.old_logp_M is None else self.old_logp_M
        return TokenBatch(logp_M, old_logp_M, self.advantage_M, self.rollout_index_M)


@dataclass(slots=True)
class MiniBatch:
    """What one optimizer step sees: its micro-batches, and the normaliser of its loss.

    Attributes:
        batch: what its rollouts are of.
        is_first: whether the policy that sampled is still the one that is updated.
    """

    batch: Batch
    micro_batches: list[MicroBatch]
    normaliser: float
    is_first: bool


class Learner:
    """Owns the optimizer; changes the policy's weights in place.

    Args:
        reference: what a KL term pulls to; if none is given the base of the policy's adapter, or `policy` as
            it is now.

    Attributes:
        updates: optimizer steps so far, those that were left out among them.
        unsound: of the last optimizer steps those, in a row, that were left out for a gradient that is no
            number.
    """

    def __init__(self, policy: Policy, config: Config, reference: Policy | None = None):
        self.policy = policy
        self.algorithm = config.algorithm
        self.training = config.training
        self.credit = config.credit
        self.seed = config.seed
        losses, name = added("losses", LOSSES), config.algorithm.loss
        self.loss = Method(name, losses[name], config.algorithm).function
        self.updates = 0
        self.unsound = 0
        self.budget = TokenBudget(policy, config)
        self.optimizer = build_optimizer(trained(policy.model).values(), config.training)
        on_device = policy.device.type == "cuda" and not isinstance(self.optimizer, HostAdamW)
        self.optimizer_state = OnDevice(
            self.optimizer, enabled=config.training.offload_optimizer and on_device
        )
        self.reference = reference
        if config.algorithm.kl_coefficient > 0 and reference is None and policy.adapter is None:
            self.reference = Policy(copy.deepcopy(policy.model).requires_grad_(False), policy.tokenizer)

    def update(self, batch: Batch) -> dict[str, float]:
        """`num_iterations` passes over the batch, an optimizer step every `mini_batch_prompts` problems."""
        size, count = self.training.mini_batch_prompts, len(batch.groups)
        with deterministic_kernels(self.training.deterministic), self.optimizer_state():
            mini_batches = [
                self._mini_batch(batch, range(start, min(start + size, count)))
                for start in range(0, count, size)
            ]
            for mini_batch in mini_batches:  # before any weight changes
                self.budget.within_memory(mini_batch, self._fix_logprobs, self._cut)
            metrics = UpdateMetrics()
            for mini_batch in mini_batches * self.training.num_iterations:
                self._step(mini_batch, metrics)
            return self._of_all_ranks(metrics).values(self.algorithm)

    def _mini_batch(self, batch: Batch, groups: range) -> MiniBatch:
        """The rollouts of some groups that change the gradient, packed; the normaliser counts all."""
        keep_all = takes_all_rollouts(self.algorithm)
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
        normaliser = {
            "token_mean": counted_tokens,
            "constant_length": counted_rollouts * self.training.sampling.max_tokens,
            "sequence_mean": counted_rollouts,
        }[self.algorithm.aggregation]
        micro_batches = self._micro_batches(batch, kept)
        return MiniBatch(batch, micro_batches, float(max(normaliser, 1)), is_first=groups.start == 0)

    def _micro_batches(self, batch: Batch, rollouts: list[Rollout]) -> list[MicroBatch]:
        packed = pack_micro_batches(
            [rollout.group for rollout in rollouts],
            [len(batch.groups[rollout.group].prompt_ids) for rollout in rollouts],
            [len(rollout.completion.token_ids) for rollout in rollouts],
            self.budget.tokens(self.optimizer),
        )
        return [self._micro_batch(batch, [rollouts[i] for i in members]) for members in packed]

    def _micro_batch(self, batch: Batch, rollouts: list[Rollout]) -> MicroBatch:
        """Rollouts of a group stand together, so each prompt is in the row once."""
        device = self.policy.device
        group_completions = {
            g: [rollout.completion.token_ids for rollout in members]
            for g, members in itertools.groupby(rollouts, key=lambda rollout: rollout.group)
        }
        lengths = torch.tensor([len(rollout.completion.token_ids) for rollout in rollouts])
        advantage_R = torch.tensor([rollout.advantage for rollout in rollouts])
        prompts = [batch.groups[g].prompt_ids for g in group_completions]
        return MicroBatch(
            rollouts=rollouts,
            tree=PrefixTree.build(prompts, list(group_completions.values()), device),
            rollout_index_M=torch.arange(len(rollouts)).repeat_interleave(lengths).to(device),
            advantage_M=advantage_R.repeat_interleave(lengths).to(device),
            weight_M=torch.cat([rollout.weights for rollout in rollouts]).to(device),
            engine_logp_M=engine_logprobs([rollout.completion for rollout in rollouts]).to(device),
        )

    def _cut(self, batch: Batch, whole: MicroBatch) -> list[MicroBatch]:
        """A micro-batch in parts, which keep what was computed of it."""
        parts = self._micro_batches(batch, whole.rollouts)
        sizes = [len(part.rollout_index_M) for part in parts]
        for name in ("old_logp_M", "reference_logp_M"):
            if (values_M := getattr(whole, name)) is not None:
                for part, of_part in zip(parts, values_M.split(sizes), strict=True):
                    setattr(part, name, of_part)
        return parts

    @torch.no_grad()
    def _fix_logprobs(self, mini_batch: MiniBatch) -> None:
        """Those that the loss takes for constants: of the policy before the update, and of the reference."""
        with self.policy.autocast(self.training.precision):
            for micro_batch in mini_batch.micro_batches:
                if self.algorithm.old_logprobs == "engine":
                    micro_batch.old_logp_M = micro_batch.engine_logp_M
                elif not mini_batch.is_first or self.policy.drops:
                    micro_batch.old_logp_M = self._logprobs(self.policy, micro_batch)
                if self.algorithm.kl_coefficient > 0:
                    micro_batch.reference_logp_M = self._reference_logprobs(micro_batch)

    def _reference_logprobs(self, micro_batch: MicroBatch) -> Tensor:
        if self.reference is not None:
            return self._logprobs(self.reference, micro_batch)
        with self.policy.adapter.off():
            return self._logprobs(self.policy, micro_batch)

    def _logprobs(self, policy: Policy, micro_batch: MicroBatch) -> Tensor:
        return policy.logprobs(micro_batch.tree, self.training.sampling.temperature)[0]

    def _token_losses(self, micro_batch: MicroBatch, tokens: TokenBatch, entropy_M: Tensor) -> Tensor:
        """The loss with all its terms, [M], not yet normalised."""
        loss_M = self.loss(tokens._replace(entropy=entropy_M.detach()))
        if self.algorithm.mismatch_cap is not None:
            loss_M = loss_M * weights_between(tokens, micro_batch.engine_logp_M, self.algorithm)[0]
        if micro_batch.reference_logp_M is not None:
            divergence_M = kl_k3(tokens.logp, micro_batch.reference_logp_M)
            loss_M = loss_M + self.algorithm.kl_coefficient * divergence_M
        loss_M = loss_M * micro_batch.weight_M
        if self.algorithm.entropy_coefficient:
            loss_M = loss_M - self.algorithm.entropy_coefficient * entropy_M
        if self.algorithm.aggregation == "sequence_mean":
            loss_M = loss_M / tokens.rollout_index.bincount()[tokens.rollout_index]
        return loss_M

    def _accumulate_gradients(
        self, micro_batch: MicroBatch, normaliser: float, metrics: "UpdateMetrics"
    ) -> None:
        logp_M, entropy_M = self.policy.logprobs(micro_batch.tree, self.training.sampling.temperature)
        tokens = micro_batch.tokens(logp_M)
        micro_batch.old_logp_M = tokens.old_logp  # for the passes to come
        loss = self._token_losses(micro_batch, tokens, entropy_M).sum() / normaliser
        loss.backward()
        metrics.add(micro_batch, tokens, entropy_M, loss)

    def _gradients(self, mini_batch: MiniBatch) -> "UpdateMetrics":
        """Of the whole mini-batch, from nothing."""
        self.optimizer.zero_grad()
        metrics = UpdateMetrics()
        # one context for all micro-batches: under autocast it keeps the converted weights
        seed = (self.seed * 1_000_003 + self.updates) * world_size() + rank()  # each rank drops others
        dropout = self.policy.dropout(seed)
        with self.policy.autocast(self.training.precision), dropout:
            for micro_batch in mini_batch.micro_batches:
                self._accumulate_gradients(micro_batch, mini_batch.normaliser, metrics)
        return metrics

    def _step(self, mini_batch: MiniBatch, metrics: "UpdateMetrics") -> None:
        told = self.budget.within_memory(mini_batch, self._gradients, self._cut)
        if not mini_batch.micro_batches and self.training.without_signal == "step":
            for parameter in self.policy.model.parameters():
                parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
        metrics.learning_rate = learning_rate(self.updates, self.training)
        set_learning_rate(self.optimizer, metrics.learning_rate)
        norm = torch.nn.utils.clip_grad_norm_(self.policy.model.parameters(), self.training.gradient_clip)
        self._take_step(float(full_tensor(norm)), told, metrics)

    def _take_step(self, gradient_norm: float, told: "UpdateMetrics", metrics: "UpdateMetrics") -> None:
        """One optimizer step; none where the gradient is no number, which would make all weights NaN. What
        such a mini-batch told is no number either, and is left out."""
        if math.isfinite(gradient_norm):
            metrics.extend(told)
            metrics.gradient_norms.append(gradient_norm)
            self.unsound = 0
            self.optimizer.step()
        else:
            metrics.skipped += 1
            self.unsound += 1
        self.optimizer.zero_grad()
        self.updates += 1
        if self.unsound >= self.training.max_skipped_steps:
            raise UserError(
                f"the gradient was {gradient_norm} in {self.unsound} optimizer steps in a row, which were "
                "skipped: try a lower training.learning_rate or training.precision=float32, or allow more "
                f"with training.max_skipped_steps={2 * self.unsound}"
            )

    def _of_all_ranks(self, metrics: "UpdateMetrics") -> "UpdateMetrics":
        """Metrics over all tokens of the batch, whichever rank had them."""
        return metrics

    def state_dict(self, folder: Path) -> dict:
        """What to go on from; a sharded optimizer's part of it goes to files in `folder` (a checkpoint)."""
        optimizer = self.optimizer_state.state_dict()
        return {"updates": self.updates, "unsound": self.unsound, "optimizer": optimizer}

    def not_finite(self) -> str | None:
        """The name of a weight, or of optimizer state, with NaN or infinity in it; None where all is well."""
        for name, parameter in self.policy.model.named_parameters():
            tensors = {"": local_shard(parameter), **self.optimizer_state.tensors(parameter)}
            for kind, tensor in tensors.items():
                if not tensor.isfinite().all():
                    return f"{kind} of {name}" if kind else name
        return None

    def load_state_dict(self, state: dict, folder: Path) -> None:
        """Take over what `state_dict` gave, whatever the number of processes then and now."""
        self.updates = state["updates"]
        self.unsound = state.get("unsound", 0)  # in checkpoints of older versions it is not
        with self.optimizer_state():
            load_optimizer(self.policy.model, self.optimizer, state["optimizer"], folder)


def weights_between(
    tokens: TokenBatch, engine_logp_M: Tensor, algorithm: AlgorithmConfig
) -> tuple[Tensor, Tensor]:
    """The `mismatch_weight` that a config asks for."""
    cap, floor = algorithm.mismatch_cap, algorithm.mismatch_floor
    return mismatch_weight(tokens, engine_logp_M, algorithm.mismatch_weights, cap=cap, floor=floor)


@dataclass(slots=True)
class UpdateMetrics:
    """Metrics of one update, over all its tokens.

    Attributes:
        losses: of the micro-batches, 0-d.
        gradient_norms: of the optimizer steps that were taken.
        learning_rate: of the last optimizer step, taken or not.
        skipped: optimizer steps that were not.
        distinct: prefixes, of each micro-batch anew.
        tokens: of each micro-batch its `TokenBatch`, the engine's log-probabilities and entropies.
    """

    losses: list[Tensor] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    learning_rate: float = 0.0
    skipped: int = 0
    distinct: int = 0
    tokens: list[tuple[Tensor, ...]] = field(default_factory=list)

    def add(self, micro_batch: MicroBatch, tokens: TokenBatch, entropy_M: Tensor, loss: Tensor) -> None:
        """Note what one micro-batch tells."""
        self.losses.append(loss.detach())
        self.distinct += len(micro_batch.tree.targets_N)
        columns = (*tokens[:4], micro_batch.engine_logp_M, entropy_M)
        self.tokens.append(tuple(column.detach() for column in columns))

    def extend(self, other: "UpdateMetrics") -> None:
        """Note what the micro-batches of a further optimizer step told."""
        self.losses += other.losses
        self.distinct += other.distinct
        self.tokens += other.tokens

    def values(self, algorithm: AlgorithmConfig) -> dict[str, float]:
        """By the names under which they are logged."""
        taken = len(self.gradient_norms)
        metrics = {
            "update/steps": float(taken),
            "update/skipped_steps": float(self.skipped),
            "update/loss": float(sum(self.losses)) / max(taken, 1),
            "update/gradient_norm": sum(self.gradient_norms) / max(taken, 1),
            "update/gradient_norm_max": max(self.gradient_norms, default=0.0),
            "update/learning_rate": self.learning_rate,
            "tokens/trained": float(sum(len(logp_M) for logp_M, *_ in self.tokens)),
            "tokens/distinct": float(self.distinct),
        }
        if not self.tokens:
            return metrics
        logp, old_logp, advantages, indices, engine_logp, entropy = zip(*self.tokens, strict=True)
        rollouts = [int(index[-1]) + 1 for index in indices]
        firsts = itertools.accumulate(rollouts[:-1], initial=0)
        indices = [index + first for index, first in zip(indices, firsts, strict=True)]
        tokens = TokenBatch(*map(torch.cat, (logp, old_logp, advantages, indices)))
        engine_logp, entropy = torch.cat(engine_logp), torch.cat(entropy)
        if algorithm.loss in CLIP_FRACTIONS:
            clip_fraction = Method(algorithm.loss, CLIP_FRACTIONS[algorithm.loss], algorithm)
            metrics["update/clip_fraction"] = clip_fraction.function(tokens).item()
        metrics["update/entropy_trained"] = entropy.mean().item()
        log_ratios = {
            "update": tokens.logp - tokens.old_logp,  # the policy moves away from the one that sampled
            "mismatch": tokens.old_logp - engine_logp,  # both have the same weights, so it should be 0
        }
        for part, log_ratio in log_ratios.items():
            metrics[f"{part}/log_ratio_mean"] = log_ratio.mean().item()
            metrics[f"{part}/log_ratio_max"] = log_ratio.abs().max().item()
            metrics[f"{part}/effective_sample_size"] = effective_sample_size(log_ratio).item()
        if algorithm.mismatch_cap is not None:
            cut = weights_between(tokens, engine_logp, algorithm)[1].float()
            metrics["mismatch/cut"] = cut.mean().item()
        return metrics
