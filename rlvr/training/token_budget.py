"""How many tokens go through the model together."""

import sys
from collections.abc import Callable
from typing import Any

import torch

from rlvr.algorithms.losses import BY_MICRO_BATCH
from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.policy.activations import Activations
from rlvr.policy.architecture import architecture_in
from rlvr.policy.kernels import DTYPES
from rlvr.policy.policy import Policy
from rlvr.training.distributed.ranks import local_shard, world_size
from rlvr.training.optimizers import state_bytes

MARGIN = 0.05  # of what is free, for fragmentation and what is not counted


class TokenBudget:
    """`max_tokens_per_micro_batch`, on CUDA as many as fit, and half as many once memory has run out.

    Attributes:
        limit: what memory has allowed so far.
        by_memory: whether what is free is looked at before it has run out.
    """

    def __init__(self, policy: Policy, config: Config):
        self.policy, self.training = policy, config.training
        self.limit = config.training.max_tokens_per_micro_batch
        by_memory = config.training.micro_batch == "auto" and not config.training.deterministic
        self.by_memory = by_memory and config.algorithm.loss not in BY_MICRO_BATCH

    def tokens(self, optimizer: torch.optim.Optimizer) -> int:
        """Of the next micro-batches; 1 at least."""
        return max(1, min(self.limit, self._that_fit(optimizer)))

    def within_memory(
        self, mini_batch: Any, work: Callable[[Any], Any], cut: Callable[[Any, Any], list]
    ) -> Any:
        """`work(mini_batch)`; where memory runs out, once more from its start with smaller micro-batches.

        Args:
            mini_batch: a `rlvr.training.learner.MiniBatch`, whose micro-batches are exchanged then.
            cut: makes the parts of one of its micro-batches that are within `tokens`, given its batch too.

        Raises:
            UserError: where each micro-batch is one rollout already, and with several processes, of which
                the others would wait for this one.
        """
        while True:
            try:
                return work(mini_batch)
            except torch.OutOfMemoryError as error:
                said = str(error).partition(". ")[0]
            # out here the error is gone, and with it all that the forward has kept
            self._halve(mini_batch.micro_batches, said)
            mini_batch.micro_batches = [
                part for whole in mini_batch.micro_batches for part in cut(mini_batch.batch, whole)
            ]

    def _halve(self, micro_batches: list, said: str) -> None:
        tokens = max(len(micro_batch.tree) for micro_batch in micro_batches)
        if world_size() > 1 or all(len(micro_batch.rollouts) == 1 for micro_batch in micro_batches):
            raise UserError(
                f"{said}: {tokens} tokens at a time do not fit beside the weights and the optimizer's state; "
                f"try training.max_tokens_per_micro_batch={max(1, tokens // 2)}, "
                "training.activation_checkpointing=true, or what `rlvr plan` says of this run"
            )
        if self.policy.device.type == "cuda":
            torch.cuda.empty_cache()
        self.limit = max(1, tokens // 2)
        sentence = f"{said} with {tokens} tokens at a time: the step begins again with {self.limit}"
        print(f"rlvr: {sentence}", file=sys.stderr, flush=True)

    def _that_fit(self, optimizer: torch.optim.Optimizer) -> int:
        if not self.by_memory or self.policy.device.type != "cuda":
            return self.limit
        try:
            shape = architecture_in(self.policy.model.config.to_dict())
        except KeyError:  # of no family that is known
            return self.limit
        weight = next(self.policy.model.parameters())
        stored, compute = weight.element_size(), DTYPES[self.training.precision].itemsize
        training = self.training
        kinds = Activations(shape, stored, compute, fused=training.liger or training.compile)
        room = free_bytes(weight.device) - self._to_come(optimizer, compute) - kinds.head
        return int(room * (1 - MARGIN) / kinds.a_token(training))

    def _to_come(self, optimizer: torch.optim.Optimizer, compute: int) -> int:
        """Bytes of gradients and optimizer state that are not there yet, and of converted weights."""
        missing = 0
        for weight in self.policy.model.parameters():
            local = local_shard(weight)
            if weight.requires_grad and weight.grad is None:
                missing += local.nbytes
            if weight.requires_grad and weight not in optimizer.state:
                missing += int(
                    state_bytes(self.training.optimizer, local.element_size()).device * local.numel()
                )
            if local is weight and compute < local.element_size():
                missing += compute * local.numel()
        return missing


def free_bytes(device: torch.device) -> int:
    """That can be allocated: the device's own, and what the allocator holds and nobody uses."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
