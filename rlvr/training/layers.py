"""How the layers of a trained policy compute: attention, fused kernels, compilation, recomputation."""

import torch

from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.policy.attention import ATTENTIONS
from rlvr.policy.kernels import Kernels
from rlvr.policy.liger import use_liger
from rlvr.policy.policy import Policy
from rlvr.training.distributed.sharding import decoder_layers
from rlvr.training.recompute import recompute_activations


def prepare_layers(policy: Policy, config: Config, *, on_cuda: bool) -> None:
    """What the config asks for, in place; parameters and their names stay.

    Args:
        on_cuda: whether the policy will work there.
    """
    training = config.training
    choose_attention(policy, config, on_cuda=on_cuda)
    if training.liger:
        if not on_cuda:
            raise UserError("training.liger=true without CUDA: accepted is false on this device")
        use_liger(policy.model)
    if training.compile:
        if type(policy.kernels) is not Kernels:
            raise UserError(
                "training.compile=true on a CPU, whose layers are rlvr's own: accepted is false on this one"
            )
        compile_layers(policy)
    if training.activation_checkpointing:
        recompute_activations(
            policy.model, keep_attention=training.keep_attention, offload=training.offload_activations
        )


def choose_attention(policy: Policy, config: Config, *, on_cuda: bool) -> None:
    """`auto` leaves the policy's own: on a CPU that of `rlvr.policy.cpu`, else `attention_for`."""
    name = config.training.attention
    if name == "varlen" and on_cuda and config.training.precision == config.model.dtype == "float32":
        raise UserError(
            "training.attention=varlen with training.precision=float32: FlashAttention takes half precision "
            "only; try training.precision=bfloat16, or training.attention=efficient"
        )
    if name != "auto":
        policy.kernels.attention = ATTENTIONS[name]


def compile_layers(policy: Policy, backend: str = "inductor") -> None:
    """Compile each decoder layer, for any number of tokens; its attention is called as it is."""
    for layer in decoder_layers(policy.model):
        layer.forward = torch.compile(layer.forward, dynamic=True, backend=backend)
