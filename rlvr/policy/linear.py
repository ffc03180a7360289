"""Linear layers on a CPU through oneDNN, forward and backward, in float32 and in bfloat16 under `Autocast`.

torch gives float32 products to MKL, which keeps to 256-bit instructions on processors that are not Intel's:
half of what a core with AVX-512 can do. oneDNN, which torch carries too and uses for bfloat16, asks the
processor what it can. Same inputs, same float32 arithmetic; everything else goes torch's own way.

A gradient that adds to one of an earlier pack is added where that is, some rows of the weight at a time, so
that no second gradient of a large weight is ever made.

oneDNN compiles a kernel for every new shape, at about a millisecond and two megabytes each, and would keep
a thousand of them. Where the weights are few that is longer than a product takes, so there the number of rows
is rounded up with zeros to one of few sizes. Rows that are so already are not copied.
"""

import os

import torch
from torch import Tensor, nn
from torch.nn import functional

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")  # kernels; read at the first product
FEW_WEIGHTS = 2**18
ADDED_AT_ONCE = 2**21  # elements of a gradient: what is added is in the cache

_converted: dict[Tensor, Tensor] | None = None  # weights in the precision of the running `Autocast`


class Autocast(torch.autocast):
    """torch's autocast, which also keeps what `linear` converts until it ends. It is not nested."""

    def __enter__(self):
        global _converted
        _converted = {}
        return super().__enter__()

    def __exit__(self, *error):
        global _converted
        _converted = None
        return super().__exit__(*error)


def linear(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, [..., O]; in bfloat16 under autocast, as torch's own."""
    if not _has_onednn(input_XI, weight_OI):
        return functional.linear(input_XI, weight_OI, bias_O)
    if torch.is_grad_enabled():
        return _Linear.apply(input_XI, weight_OI, bias_O)
    return _forward(_converted_input(input_XI), converted(weight_OI), converted(bias_O))


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


def converted(weight: Tensor | None) -> Tensor | None:
    """A weight in the precision of the running `Autocast`, converted once."""
    if _converted is None or weight is None:
        return weight
    if weight not in _converted:
        _converted[weight] = weight.detach().to(torch.get_autocast_dtype("cpu"))
    return _converted[weight]


def _converted_input(input_XI: Tensor) -> Tensor:
    return input_XI if _converted is None else input_XI.to(torch.get_autocast_dtype("cpu"))


def _has_onednn(input_XI: Tensor, weight_OI: Tensor) -> bool:
    if not (
        input_XI.is_cpu
        and weight_OI.dtype == torch.float32
        and input_XI.numel() > 0
        and torch.backends.mkldnn.is_available()
    ):
        return False
    if not torch.is_autocast_enabled("cpu"):
        return input_XI.dtype == torch.float32
    return _converted is not None


def _product(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    if input_XI.dtype == torch.float32:
        return torch.ops.mkldnn._linear_pointwise(input_XI, weight_OI, bias_O, "none", [], "")
    return functional.linear(input_XI, weight_OI, bias_O)


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
        ctx.dtype, input_XI = input_XI.dtype, _converted_input(input_XI)
        ctx.converted_OI = converted(weight_OI)
        ctx.save_for_backward(input_XI, weight_OI)
        return _forward(input_XI, ctx.converted_OI, converted(bias_O))

    @staticmethod
    def backward(ctx, gradient_XO: Tensor):
        input_XI, weight_OI = ctx.saved_tensors
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad
        input_TI = input_XI.flatten(0, -2)
        gradient_TO = _rounded_rows(gradient_XO.flatten(0, -2), weight_OI)
        gradient_input = gradient_weight_OI = gradient_bias_O = None
        if needs_input:
            gradient_TI = _product(gradient_TO, ctx.converted_OI.T)[: len(input_TI)]
            gradient_input = gradient_TI.view_as(input_XI).to(ctx.dtype)
        if needs_weight:
            gradient_weight_OI = _weight_gradient(gradient_TO, _rounded_rows(input_TI, weight_OI), weight_OI)
        if needs_bias:
            gradient_bias_O = gradient_TO.sum(0, dtype=weight_OI.dtype)
        return gradient_input, gradient_weight_OI, gradient_bias_O


def _weight_gradient(gradient_TO: Tensor, input_TI: Tensor, weight_OI: Tensor) -> Tensor | None:
    """The gradient of a weight, or None once it is added to the one that the weight has."""
    if not weight_OI.is_leaf or weight_OI.grad is None:
        return _product(gradient_TO.T, input_TI.T).to(weight_OI.dtype)
    step = max(ADDED_AT_ONCE // weight_OI.shape[1], 1)
    for rows in (slice(start, start + step) for start in range(0, len(weight_OI), step)):
        weight_OI.grad[rows].add_(_product(gradient_TO[:, rows].T, input_TI.T))
    return None
