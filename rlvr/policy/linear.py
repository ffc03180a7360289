"""Linear layers of float32 on CPU through oneDNN, forward and backward.

torch gives float32 products to MKL, which keeps to 256-bit instructions on processors that are not Intel's:
half of what a core with AVX-512 can do. oneDNN, which torch carries too and uses for bfloat16, asks the
processor what it can. Same inputs, same float32 arithmetic; everything else goes torch's own way.

oneDNN compiles a kernel for every new shape and keeps a thousand of them, at about a millisecond and two
megabytes each. Where the weights are few that is longer than a product takes, so there the number of rows is
rounded up with zeros to one of few sizes. Rows that are so already are not copied.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW_WEIGHTS = 2**18


def linear(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, [..., O]; in bfloat16 under autocast, as torch's own."""
    if not _has_onednn(input_XI, weight_OI):
        return functional.linear(input_XI, weight_OI, bias_O)
    if torch.is_grad_enabled():
        return _Linear.apply(input_XI, weight_OI, bias_O)
    return _forward(input_XI, weight_OI, bias_O)


class Linear(nn.Linear):
    """`nn.Linear` that multiplies with `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def use_onednn(model: nn.Module) -> None:
    """Let every linear layer of `model` multiply with `linear`; parameters and their names stay."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def has_few_weights(weight_OI: Tensor) -> bool:
    """Whether some more rows cost less than compiling a kernel for their exact number."""
    return weight_OI.numel() <= FEW_WEIGHTS


def rounded(rows: int) -> int:
    """The next larger of few sizes: a multiple of 32, and of an eighth of the power of two below."""
    step = max(32, 1 << max(rows.bit_length() - 4, 0))
    return -(-rows // step) * step


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


def _rounded_rows(tensor_TX: Tensor, weight_OI: Tensor) -> Tensor:
    """With rows of zeros, where the weights are few."""
    missing = rounded(len(tensor_TX)) - len(tensor_TX) if has_few_weights(weight_OI) else 0
    return functional.pad(tensor_TX, (0, 0, 0, missing)) if missing else tensor_TX


def _forward(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    input_TI = input_XI.flatten(0, -2)
    output_TO = _product(_rounded_rows(input_TI, weight_OI), weight_OI, bias_O)
    return output_TO[: len(input_TI)].unflatten(0, input_XI.shape[:-1])


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(input_XI, weight_OI)
        return _forward(input_XI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx, gradient_XO: Tensor):
        input_XI, weight_OI = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad
        input_TI = input_XI.flatten(0, -2)
        gradient_TO = _rounded_rows(gradient_XO.flatten(0, -2), weight_OI)
        gradient_input_TI = gradient_weight_OI = None
        if needs_input:
            gradient_input_TI = _product(gradient_TO, weight_OI.T)[: len(input_TI)].view_as(input_XI)
        if needs_weight:
            gradient_weight_OI = _product(gradient_TO.T, _rounded_rows(input_TI, weight_OI).T)
        return gradient_input_TI, gradient_weight_OI, gradient_TO.sum(0) if needs_bias else None
