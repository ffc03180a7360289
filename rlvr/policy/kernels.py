"""How a policy's products are computed: torch's own way, which holds on every device.

`rlvr.policy.cpu` has another for the CPU. Whoever works with a policy asks its `kernels` for what depends on
the device, and knows nothing of devices.
"""

from collections.abc import Iterator
from contextlib import contextmanager

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

    attention: TreeAttention = ATTENTIONS["auto"]
    max_logits_bytes = 2**27

    @contextmanager
    def autocast(self, device: torch.device, precision: str) -> Iterator[None]:
        """The context of forwards and their backwards in `precision`, whatever the weights are in.

        Each weight is converted once in it. torch forgets them where an autocast ends on a thread that is in
        no other, so the backward, which makes some of its own, stays on the thread of the forward.
        """
        if precision == "float32":
            yield
            return
        with torch.autocast(device.type, DTYPES[precision]), torch.autograd.set_multithreading_enabled(False):
            yield

    @contextmanager
    def sampling(self, model: nn.Module) -> Iterator[None]:
        """The context of many forwards with the same weights, without gradients."""
        # autocast keeps what it converts of weights that may have a gradient alone: in inference mode, and of
        # the frozen ones around an adapter, it would convert all of them anew at every token
        frozen = [
            weight for weight in model.parameters() if weight.is_floating_point() and not weight.requires_grad
        ]
        try:
            with torch.no_grad():
                for weight in frozen:
                    weight.requires_grad_(True)
                yield
        finally:
            for weight in frozen:
                weight.requires_grad_(False)

    def padded_rows(self, rows: int, weights: int) -> int:
        """How many rows a product of `rows` with matrices of up to `weights` numbers had better have."""
        return rows

    def head_rows(self, hidden_NE: Tensor, head: nn.Linear) -> int:
        """How many tokens go through the head together."""
        return max(1, self.max_logits_bytes // hidden_NE.element_size() // head.out_features)

    def softmax_rows(self, rows: int, vocabulary: int) -> int:
        """How many rows of logits are worked on together."""
        return max(1, rows)
