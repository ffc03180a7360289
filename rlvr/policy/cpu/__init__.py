"""What makes a policy fast and small on a CPU, behind one door: `optimize`.

The products of linear layers through oneDNN, layers that save fewer activations, attention of short
sequences by plain products, and an allocator that keeps what is freed. Outputs and gradients are those of
transformers' own layers up to rounding. No other room of rlvr knows of any of it.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.errors import say
from rlvr.policy.cpu.allocator import keep_freed_heap
from rlvr.policy.cpu.attention import CPUAttention
from rlvr.policy.cpu.layers import use_memory_saving_layers
from rlvr.policy.cpu.linear import (
    SMALL_LAYER,
    Autocast,
    has_fast_bfloat16,
    keep_few_kernels,
    padded_row_count,
    reordered_weights,
    use_onednn,
)
from rlvr.policy.kernels import DTYPES, Kernels

MIN_CHUNK_TOKENS = 128  # tokens that go through a large head together, if there is room for them
CACHED_LOGITS = 2**18  # logits of which a CPU still has everything in its cache, from one pass to the next


def optimize(model: PreTrainedModel) -> "CPUKernels":
    """Exchange the layers of a model on a CPU that are exactly known ones; parameters and names stay.

    A layer of any other type, such as an adapter around a linear layer, a subclass or a quantised layer, is
    left alone, and is called wherever the model calls it.
    """
    keep_freed_heap()
    keep_few_kernels()
    use_onednn(model)
    use_memory_saving_layers(model)
    if model.config.tie_word_embeddings and type(model.get_input_embeddings()) is nn.Embedding:
        # few rows, which add to the gradient of the head: that one is always there first
        model.get_input_embeddings().sparse = True
    return CPUKernels()


@cache
def say_if_slow() -> None:
    """Say once that bfloat16 is no gain on this processor."""
    if not has_fast_bfloat16():
        say(
            "this processor has no instructions for bfloat16, which takes several times as long as float32: "
            "training.precision=float32 is faster"
        )


class CPUKernels(Kernels):
    """See `Kernels`; a chunk of logits is small enough for the allocator to use its memory again."""

    attention = CPUAttention
    max_logits_bytes = 2**25

    def autocast(self, device: torch.device, precision: str) -> AbstractContextManager:
        if precision == "float32":
            return nullcontext()
        say_if_slow()
        return Autocast(device.type, DTYPES[precision])

    @contextmanager
    def sampling(self, model: nn.Module) -> Iterator[None]:
        with torch.inference_mode(), reordered_weights():
            yield

    def padded_rows(self, rows: int, weights: int) -> int:
        return padded_row_count(rows, weights <= SMALL_LAYER)

    def head_rows(self, hidden_NE: Tensor, head: nn.Linear) -> int:
        """Even chunks. A quarter of what may be held is enough, unless that is so few tokens that reading
        the weights and adding to their gradient takes as long as the products.
        """
        room = self.max_logits_bytes // hidden_NE.element_size() // len(head.weight)
        most = max(1, min(room, max(MIN_CHUNK_TOKENS, room // 4)))
        count = len(hidden_NE)
        even = math.ceil(count / max(1, math.ceil(count / most)))
        return max(1, self.padded_rows(even, head.weight.numel()))

    def softmax_rows(self, rows: int, vocabulary: int) -> int:
        return max(1, CACHED_LOGITS // vocabulary)
