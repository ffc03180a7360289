"""How a policy's products are computed: torch's own way, which holds on every device.

`rlvr.policy.cpu` has another for the CPU. Whoever works with a policy asks its `kernels` for what depends on
the device, and knows nothing of devices.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from rlvr.policy.attention import ATTENTIONS, TreeAttention

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Kernels:
    """torch's own layers, autocast and fused attention.

    Attributes:
        attention: what a prefix tree goes through.
        max_logits_bytes: of the logits of tokens that go through the head together.
    """

    attention: TreeAttention = ATTENTIONS["blocks"]
    max_logits_bytes = 2**27

    def autocast(self, device: torch.device, precision: str) -> AbstractContextManager:
        """The context of a forward and its backward in `precision`, whatever the weights are in."""
        if precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, DTYPES[precision])

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """The context of many forwards with the same weights, without gradients."""
        # inference mode would have autocast convert the weights anew at every token
        with torch.no_grad():
            yield

    def padded_rows(self, rows: int, weights: int) -> int:
        """How many rows a product of `rows` with matrices of up to `weights` numbers had better have."""
        return rows

    def head_rows(self, hidden_NE: Tensor, head: nn.Linear) -> int:
        """How many tokens go through the head together."""
        return max(1, self.max_logits_bytes // hidden_NE.element_size() // head.out_features)

    def softmax_rows(self, rows: int, vocabulary: int) -> int:
        """How many rows of logits are worked on together."""
        return max(1, rows)
