"""Linear layers on a CPU through oneDNN, forward and backward, in float32 and in bfloat16 under `Autocast`.

torch gives float32 products to MKL, which keeps to 256-bit instructions on processors that are not Intel's:
half of what a core with AVX-512 can do. oneDNN, which torch carries too and uses for bfloat16, asks the
processor what it can. Same inputs, same float32 arithmetic; everything else goes torch's own way.

A gradient that adds to one of an earlier pack is added where that is, some rows of the weight at a time, so
that no second gradient of a large weight is ever made.

In sampling a weight meets a few rows at every token. Inside `reordered_weights` it is put into oneDNN's own
order once, together with others that multiply the same input.

oneDNN compiles a kernel for every new shape, at about a millisecond and 0.6 to 3 megabytes of heap each. It
would keep a thousand of them, and torch, in a cache of its own, another thousand. So both keep few, and rows
are rounded up to one of few sizes (`padded_row_count`).
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALL_LAYER = 2**18  # weights up to which some more rows cost less than compiling a kernel for their number
GRADIENT_BLOCK = 2**20  # elements of a gradient: what comes or is added is in the cache, and little beside it

_cast: dict[Tensor, Tensor] | None = None  # weights in the precision of the running `Autocast`
_reordered: dict[tuple, tuple[Tensor, Tensor | None]] | None = None  # of the running `reordered_weights`


def keep_few_kernels() -> None:
    """Bound the kernels that oneDNN and torch's cache before it keep; both read this at the first product."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "96")
    os.environ.setdefault("LRU_CACHE_CAPACITY", "8")


class Autocast(torch.autocast):
    """torch's autocast, which also keeps what `linear` converts until it ends. It is not nested."""

    def __enter__(self):
        global _cast
        _cast = {}
        return super().__enter__()

    def __exit__(self, *error):
        global _cast
        _cast = None
        return super().__exit__(*error)


@contextmanager
def reordered_weights() -> Iterator[None]:
    """Let products without gradient keep a copy of each weight in the order that is fastest for them."""
    global _reordered
    _reordered = {}
    try:
        yield
    finally:
        _reordered = None


def linear(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias, [..., O]; in bfloat16 under autocast, as torch's own."""
    if not has_onednn(input_XI, weight_OI):
        return functional.linear(input_XI, weight_OI, bias_O)
    if torch.is_grad_enabled():
        return _Linears.apply(input_XI, weight_OI, bias_O)[0]
    if _reordered is not None:
        return matmul(_in_precision(input_XI), *_in_order((weight_OI,), (bias_O,)))
    return matmul(_in_precision(input_XI), cast_once(weight_OI), cast_once(bias_O))


def fused_projections(input_XI: Tensor, layers: Sequence[nn.Module]) -> Sequence[Tensor]:
    """What each layer makes of one input; all have a bias or none. One product inside `reordered_weights`.

    Only layers that are nothing but a matrix are read past their `forward`: an adapter has a `weight` too.
    """
    if not all(is_plain(layer) for layer in layers) or not has_onednn(input_XI, layers[0].weight):
        return [layer(input_XI) for layer in layers]
    weights, biases = zip(*((layer.weight, layer.bias) for layer in layers), strict=True)
    if torch.is_grad_enabled():
        return _Linears.apply(input_XI, *weights, *biases)
    if _reordered is None:
        return [layer(input_XI) for layer in layers]
    outputs_XO = matmul(_in_precision(input_XI), *_in_order(weights, biases))
    return outputs_XO.split([len(weight) for weight in weights], dim=-1)


class Linear(nn.Linear):
    """`nn.Linear` that multiplies with `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def use_onednn(model: nn.Module) -> None:
    """Let every plain linear layer of `model` multiply with `linear`; parameters and their names stay."""
    for module in model.modules():
        # a weight of a type of its own, such as a quantised one, is not ours to multiply with
        if type(module) is nn.Linear and type(module.weight) is nn.Parameter:
            module.__class__ = Linear


def is_plain(layer: nn.Module) -> bool:
    """Whether calling a layer is its product and nothing else: one of `use_onednn`'s, without hooks."""
    return type(layer) is Linear and not layer._forward_hooks and not layer._forward_pre_hooks


def has_onednn(input_XI: Tensor, weight_OI: Tensor) -> bool:
    """Whether a product is ours: float32 weights on a CPU, and an `Autocast` where there is autocast."""
    if not (
        input_XI.is_cpu
        and weight_OI.dtype == torch.float32
        and input_XI.numel() > 0
        and torch.backends.mkldnn.is_available()
    ):
        return False
    if not torch.is_autocast_enabled("cpu"):
        return input_XI.dtype == torch.float32
    return _cast is not None


@cache
def has_fast_bfloat16() -> bool:
    """Whether this processor has instructions for products in bfloat16, of AVX-512 or AVX-NE-CONVERT.

    Without, torch takes several times as long for them as for float32, and oneDNN puts no weights in order.
    """
    try:
        torch.ops.mkldnn._reorder_linear_weight(torch.zeros(1, 1, dtype=torch.bfloat16))
    except (RuntimeError, AttributeError):  # of such a processor, of a torch without oneDNN
        return False
    return True


def padded_row_count(rows: int, small: bool) -> int:
    """The next larger of few sizes.

    A multiple of 64 and of an eighth of the power of two below for a small layer, of 8 and of a sixteenth
    where a row costs more.
    """
    finest, parts = (64, 3) if small else (8, 4)
    step = max(finest, 1 << max(rows.bit_length() - 1 - parts, 0))
    return -(-rows // step) * step


def cast_once(weight: Tensor | None) -> Tensor | None:
    """A weight in the precision of the running `Autocast`, converted once."""
    if _cast is None or weight is None:
        return weight
    if weight not in _cast:
        _cast[weight] = weight.detach().to(torch.get_autocast_dtype("cpu"))
    return _cast[weight]


def _in_order(weights: tuple[Tensor, ...], biases: tuple[Tensor | None, ...]) -> tuple[Tensor, Tensor | None]:
    """Weights and biases one below the other, in the precision of their products."""
    if weights not in _reordered:
        weight_OI = _one_below_the_other(weights)
        if weight_OI.dtype == torch.float32 or has_fast_bfloat16():
            weight_OI = torch.ops.mkldnn._reorder_linear_weight(weight_OI)
        _reordered[weights] = weight_OI, None if biases[0] is None else _one_below_the_other(biases)
    return _reordered[weights]


def _one_below_the_other(blocks: Sequence[Tensor]) -> Tensor:
    blocks = [_in_precision(block.detach()) for block in blocks]
    return torch.cat(blocks) if len(blocks) > 1 else blocks[0]


def _in_precision(tensor: Tensor) -> Tensor:
    return tensor if _cast is None else tensor.to(torch.get_autocast_dtype("cpu"))


def matmul(input_XI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias of one precision, without gradient; the weight may be in oneDNN's order."""
    if input_XI.dtype == torch.float32 or weight_OI.is_mkldnn:
        return torch.ops.mkldnn._linear_pointwise(input_XI, weight_OI, bias_O, "none", [], "")
    return functional.linear(input_XI, weight_OI, bias_O)


class _Linears(torch.autograd.Function):
    """Products of one input with some weights, to which biases are added, one or None for each."""

    @staticmethod
    def forward(ctx, input_XI: Tensor, *weights_and_biases: Tensor | None) -> tuple[Tensor, ...]:
        count = len(weights_and_biases) // 2
        weights, biases = weights_and_biases[:count], weights_and_biases[count:]
        ctx.dtype, input_XI = input_XI.dtype, _in_precision(input_XI)
        ctx.cast = [cast_once(weight_OI) for weight_OI in weights]
        ctx.save_for_backward(input_XI, *weights)
        return tuple(
            matmul(input_XI, weight_OI, cast_once(bias_O))
            for weight_OI, bias_O in zip(ctx.cast, biases, strict=True)
        )

    @staticmethod
    def backward(ctx, *gradients_XO: Tensor):
        input_XI, *weights = ctx.saved_tensors
        grad_input, *others = gradients(gradients_XO, input_XI, weights, ctx.cast, ctx.needs_input_grad)
        return None if grad_input is None else grad_input.to(ctx.dtype), *others


def gradients(
    gradients_XO: Sequence[Tensor],
    input_XI: Tensor,
    weights: Sequence[Tensor],
    cast_weights: Sequence[Tensor],
    needs: Sequence[bool],
) -> list[Tensor | None]:
    """Those of the input of some products, in their precision, then of the weights, then of the biases.

    None where they are not needed; a weight's also where it has been added to the one that the weight has.
    """
    input_TI = input_XI.flatten(0, -2)
    gradients_TO = [gradient_XO.flatten(0, -2).contiguous() for gradient_XO in gradients_XO]
    grad_input, grad_weights, grad_biases = None, [], []
    if needs[0]:
        for gradient_TO, cast_OI in zip(gradients_TO, cast_weights, strict=True):
            grad_one = matmul(gradient_TO, cast_OI.T)
            grad_input = grad_one if grad_input is None else grad_input.add_(grad_one)
        grad_input = grad_input.view_as(input_XI)
    # a weight's gradient as a product transposes its own gradient, on one thread, or the input and the
    # result; a transpose of some columns would go to oneDNN's reference, some hundred times slower
    tokens, inputs, outputs = *input_TI.shape, sum(len(weight_OI) for weight_OI in weights)
    by_input = inputs * (tokens + outputs) < tokens * outputs and any(needs[1 : 1 + len(weights)])
    by_input &= all(weight_OI.numel() <= GRADIENT_BLOCK for weight_OI in weights)
    input_IT = input_TI.T.contiguous() if by_input else None
    for place, (gradient_TO, weight_OI) in enumerate(zip(gradients_TO, weights, strict=True), 1):
        needed = needs[place], needs[place + len(weights)]
        grad_weights.append(
            _weight_gradient(gradient_TO, input_TI, input_IT, weight_OI) if needed[0] else None
        )
        grad_biases.append(gradient_TO.sum(0, dtype=weight_OI.dtype) if needed[1] else None)
    return [grad_input, *grad_weights, *grad_biases]


def _weight_gradient(
    gradient_TO: Tensor, input_TI: Tensor, input_IT: Tensor | None, weight_OI: Tensor
) -> Tensor | None:
    """The gradient of a weight, or None once it is added to the one that the weight has.

    `input_IT` is the input as a contiguous transpose, where that is there.
    """

    def of_rows(rows: slice) -> Tensor:
        if input_IT is not None:
            return matmul(input_IT, gradient_TO[:, rows].T).T
        return matmul(gradient_TO[:, rows].T, input_TI.T)

    adds = weight_OI.is_leaf and weight_OI.grad is not None
    parts = math.ceil(weight_OI.numel() / GRADIENT_BLOCK)
    if parts == 1 and not adds:
        return of_rows(slice(None)).to(weight_OI.dtype)
    whole_OI, put = (weight_OI.grad, Tensor.add_) if adds else (torch.empty_like(weight_OI), Tensor.copy_)
    step = math.ceil(len(weight_OI) / parts)
    for start in range(0, len(weight_OI), step):
        rows = slice(start, start + step)
        put(whole_OI[rows], of_rows(rows))
    return None if adds else whole_OI
