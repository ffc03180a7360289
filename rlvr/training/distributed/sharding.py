"""A policy and its learner sharded over the ranks with FSDP2: the mathematics of one process, on many.

Every rank has 1/n of the parameters, gradients and optimizer state, and takes 1/n of each optimizer step's
rollouts. Rank 0 hands the whole batch to all, so advantages, token weights and the normaliser are those of
one process, and a group whose rollouts go to two ranks is still one group.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)

from rlvr.config import Config
from rlvr.data import Completion
from rlvr.policy.adapter import trained
from rlvr.policy.attention import Layout
from rlvr.policy.packing import cut
from rlvr.policy.policy import FILE_SIZE, Policy
from rlvr.training.batch import Batch
from rlvr.training.distributed.optimizer_state import save_optimizer
from rlvr.training.distributed.ranks import (
    OnEveryRank,
    full_tensor,
    gather,
    gather_on_rank_zero,
    on_every_rank,
    rank,
    world_size,
)
from rlvr.training.learner import Learner, MicroBatch, Rollout, UpdateMetrics


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The blocks that are sharded, gathered and recomputed one at a time."""
    names = set(model._no_split_modules or ())
    return [module for module in model.modules() if type(module).__name__ in names]


class ShardedPolicy(OnEveryRank, Policy):
    """A policy whose parameters are spread over all ranks; of each layer the whole is there while it works.

    Args:
        policy: its model is sharded in place, and moved to `device`. The weights are those of rank 0, which
            sends them out one tensor at a time; the others' may be on the meta device.
        precision: of the forward: "float32", or "bfloat16", in which layers are then gathered, while
            gradients are summed over the ranks in float32.
    """

    def __init__(self, policy: Policy, *, precision: str, device: str):
        super().__init__()
        vars(self).update(vars(policy))
        mesh = init_device_mesh(torch.device(device).type, (world_size(),))
        mixed = MixedPrecisionPolicy()
        if precision == "bfloat16":
            mixed = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        self.model.get_input_embeddings().sparse = False  # gradients are sharded, so they are dense
        whole = self.model.state_dict() if rank() == 0 else {}
        for module in (*decoder_layers(self.model), self.model):
            fully_shard(module, mesh=mesh, mp_policy=mixed)
        self.model._apply(
            lambda tensor: torch.empty_like(tensor, device=device) if tensor.is_meta else tensor
        )
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(self.model, whole, options=options)
        for module in self.model.modules():
            if isinstance(module, FSDPModule):  # the loss has one normaliser: gradients are summed
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
        base = self.model.base_model
        self.model.last_hidden_state = lambda **inputs: base(**inputs).last_hidden_state
        register_fsdp_forward_method(self.model, "last_hidden_state")

    def hidden(self, tokens_T: Tensor, positions_T: Tensor, layout: Layout) -> Tensor:
        """As `Policy.hidden`; the output embedding is whole from here to the end of the backward."""
        return self.model.last_hidden_state(
            input_ids=tokens_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        )[0]

    def weights(self) -> "Weights":
        return Weights(self)

    @on_every_rank("writing a checkpoint")
    def save(self, folder: Path) -> None:
        """As `Policy.save`: rank 0 collects the weights in host memory, one after the other, and writes."""
        state = {}
        for name, parameter in trained(self.model).items() if self.adapter else self.weights():
            tensor = full_tensor(parameter.detach())
            if rank() == 0:
                state[name] = tensor.cpu()
        if self.adapter and rank() == 0:
            self.adapter.save(folder, state)
        elif rank() == 0:
            self.model.save_pretrained(folder, state_dict=state, max_shard_size=FILE_SIZE)
            self.tokenizer.save_pretrained(folder)


class Weights:
    """The parameters of a sharded policy, each put together when its turn comes; all ranks iterate."""

    def __init__(self, policy: ShardedPolicy):
        self.policy = policy

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.policy.model.named_parameters():
            yield name, full_tensor(parameter.detach())


class ShardedLearner(OnEveryRank, Learner):
    """Takes a rank's share of every optimizer step, in as many micro-batches as the rank with most has."""

    def __init__(self, policy: ShardedPolicy, config: Config, reference: ShardedPolicy | None = None):
        OnEveryRank.__init__(self)
        Learner.__init__(self, policy, config, reference)

    @on_every_rank("update")
    def update(self, batch: Batch) -> dict[str, float]:
        return super().update(batch)

    # what differs from one process: whose rollouts are taken, idle ranks, and whose metrics are logged

    def _micro_batches(self, batch: Batch, rollouts: list[Rollout]) -> list[MicroBatch]:
        share = cut([len(rollout.completion.token_ids) for rollout in rollouts], world_size())[rank()]
        mine = super()._micro_batches(batch, rollouts[share.start : share.stop])
        most = max(gather(len(mine)))
        return mine + [self._idle_micro_batch(batch) for _ in range(most - len(mine))]

    def _idle_micro_batch(self, batch: Batch) -> "IdleMicroBatch":
        """What a rank without work of its own computes while the others need its share of the weights."""
        completion = Completion([0, 0], [0.0, 0.0], "", "stop", 0)
        idle = self._micro_batch(batch, [Rollout(0, completion, 0.0, torch.zeros(2))])
        return IdleMicroBatch(*(getattr(idle, field.name) for field in dataclasses.fields(idle)))

    def _logprobs(self, policy: Policy, micro_batch: MicroBatch) -> Tensor:
        logp_M = super()._logprobs(policy, micro_batch)
        policy.model.reshard()  # FSDP does it after a backward only
        return logp_M

    def _accumulate_gradients(
        self, micro_batch: MicroBatch, normaliser: float, metrics: UpdateMetrics
    ) -> None:
        if isinstance(micro_batch, IdleMicroBatch):
            normaliser, metrics = math.inf, UpdateMetrics()
        super()._accumulate_gradients(micro_batch, normaliser, metrics)

    def _of_all_ranks(self, metrics: UpdateMetrics) -> UpdateMetrics:
        """On rank 0, which logs them; elsewhere without a token, so that there is nothing to compute."""
        everyone = UpdateMetrics(
            gradient_norms=metrics.gradient_norms,
            learning_rate=metrics.learning_rate,
            skipped=metrics.skipped,
        )
        tokens = [tuple(column.cpu() for column in columns) for columns in metrics.tokens]
        mine = (sum(metrics.losses, torch.zeros(())).cpu(), metrics.distinct, tokens)
        for loss, distinct, micro_batches in gather_on_rank_zero(mine):
            everyone.losses.append(loss)
            everyone.distinct += distinct
            everyone.tokens += micro_batches
        return everyone

    @on_every_rank("writing a checkpoint")
    def state_dict(self, folder: Path) -> dict:
        save_optimizer(self.policy.model, self.optimizer_state, folder)
        return {"updates": self.updates, "unsound": self.unsound, "optimizer": None}

    @on_every_rank("writing a checkpoint")
    def not_finite(self) -> str | None:
        return next(filter(None, gather(super().not_finite())), None)


class IdleMicroBatch(MicroBatch):
    """One whose loss is zero and whose tokens nobody counts."""
