"""Activation checkpointing of decoder layers: what is kept for the backward, and where."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from rlvr.training.distributed.sharding import decoder_layers

aten = torch.ops.aten
# every kernel that a layout's attention may end in
ATTENTION_OPERATORS = [
    aten._flash_attention_forward.default,
    aten._scaled_dot_product_flash_attention.default,
    aten._scaled_dot_product_cudnn_attention.default,
    aten._scaled_dot_product_efficient_attention.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
]


def recompute_activations(model: nn.Module, *, keep_attention: bool = False, offload: bool = False) -> None:
    """Keep only the inputs of each layer for the backward, and compute the layer again there.

    Args:
        keep_attention: keep the output of attention too: a tenth of what a layer has, and at 8,192 tokens
            most of what computing it again takes.
        offload: the inputs wait in host memory.
    """
    settings: dict[str, Any] = {"use_reentrant": False}
    if keep_attention:
        settings["context_fn"] = partial(create_selective_checkpoint_contexts, ATTENTION_OPERATORS)
    for layer in decoder_layers(model):
        forward = partial(checkpoint, layer.forward, **settings)
        layer.forward = partial(_inputs_on_host, forward) if offload else forward


def _inputs_on_host(forward: Callable, *arguments: Any, **named: Any) -> Any:
    # what is kept inside of a checkpoint is the checkpoint's: only its tensor arguments come here
    with save_on_cpu(pin_memory=torch.cuda.is_available()):
        return forward(*arguments, **named)
