"""Bytes that a forward leaves for its backward, from the shape of a model alone.

Counted are the tensors that autograd keeps of transformers' decoder layers of the Llama family, as they are
or with fused norms and MLPs; a test counts them in a real forward. Attention keeps its inputs and its output
and no scores.
"""

from dataclasses import dataclass

from rlvr.config.schema import TrainingConfig
from rlvr.policy.architecture import Architecture
from rlvr.policy.kernels import Kernels

NORM_BYTES = 4  # a norm computes in float32


@dataclass(frozen=True, slots=True)
class Activations:
    """Of one model in one precision.

    Attributes:
        stored: bytes of a weight, which are those of the residual stream.
        compute: bytes of a number in a product.
        fused: whether norms and MLPs compute again what they can (Liger, torch.compile).
    """

    model: Architecture
    stored: int
    compute: int
    fused: bool = False

    @property
    def layer(self) -> int:
        """Of a token in one decoder layer."""
        model, compute = self.model, self.compute
        hidden, queries = model.hidden, model.heads * model.head_size
        keys_values = 2 * model.key_value_heads * model.head_size
        # its input, and unless fused the normed input, which the gradient of its weight needs
        norm = hidden * (self.stored if self.fused else NORM_BYTES + self.stored)
        # inputs of products: a conversion each for q, k, v, gate and up, if there is anything to convert
        inputs = hidden * compute * (2 if self.stored == compute else 5)
        attention = compute * (3 * queries + keys_values)  # q, k, v, the output, and the same for o_proj
        feed_forward = model.feed_forward * compute * (3 if self.fused else 4)  # gate, (silu,) up, product
        return 2 * norm + inputs + attention + feed_forward

    def kept(self, training: TrainingConfig) -> int:
        """Of a token in all layers, on the device, from its forward to its backward.

        With checkpointing only the input of each layer, or none where they go to host memory; with
        `keep_attention` the output of attention too.
        """
        if not training.activation_checkpointing:
            return self.model.layers * self.layer
        heads = self.model.heads
        kept = 0 if training.offload_activations else self.stored * self.model.hidden
        if training.keep_attention:
            kept += self.compute * heads * self.model.head_size + 4 * heads  # with log sum exp
        return self.model.layers * kept

    def a_token(self, training: TrainingConfig) -> int:
        """Of a token on the device, at the moment of the backward that takes most.

        In one layer there are gradients then, and what checkpointing computes again.
        """
        gradients = 3 * self.compute * self.model.feed_forward + 2 * self.stored * self.model.hidden
        again = self.layer if training.activation_checkpointing else 0
        return self.kept(training) + gradients + again

    @property
    def head(self) -> int:
        """Of the loss, whatever the number of tokens: a chunk of logits, and the gradient of the head."""
        logits = Kernels.max_logits_bytes * (1 + 2 * 4 // self.compute)  # they, and twice in float32
        converted = self.compute if self.stored != self.compute else 0
        return logits + self.model.vocabulary * self.model.hidden * (self.stored + converted)
