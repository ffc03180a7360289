"""Linear layers of float32 on CPU through oneDNN, forward and backward.

torch gives float32 products to MKL, which keeps to 256-bit instructions on processors that are not Intel's:
half of what a core with AVX-512 can do. oneDNN, which torch carries too and uses for bfloat16, asks the
processor what it can. Same inputs, same float32 arithmetic; everything else goes torch's own way.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def linear(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, [..., O]; in bfloat16 under autocast, as torch's own."""
    if not _has_onednn(input_XI, weight_OI):
        return functional.linear(input_XI, weight_OI, bias_O)
    if torch.is_grad_enabled():
        return _Linear.apply(input_XI, weight_OI, bias_O)
    return _product(input_XI, weight_OI, bias_O)


class Linear(nn.Linear):
    """`nn.Linear` that multiplies with `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def use_onednn(model: nn.Module) -> None:
    """Let every linear layer of `model` multiply with `linear`; parameters and their names stay."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def _has_onednn(input_XI: Tensor, weight_OI: Tensor) -> bool:
    return (
        input_XI.dtype == weight_OI.dtype == torch.float32
        and input_XI.is_cpu
        and input_XI.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.is_available()
    )


def _product(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(input_XI, weight_OI, bias_O, "none", [], "")


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(input_XI, weight_OI)
        return _product(input_XI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx, gradient_XO: Tensor):
        input_XI, weight_OI = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad
        gradient_TO, input_TI = gradient_XO.flatten(0, -2), input_XI.flatten(0, -2)
        return (
            _product(gradient_XO, weight_OI.T) if needs_input else None,
            _product(gradient_TO.T, input_TI.T) if needs_weight else None,
            gradient_TO.sum(0) if needs_bias else None,
        )
