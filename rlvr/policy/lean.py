"""Layers of Llama and Qwen that keep less for their backward, and say the same.

transformers' gated MLP keeps four tensors of its inner width a token, this one three; its RMS norm keeps its
input and the normed input, this one the input alone. What is missing is computed again, elementwise.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import SiLUActivation

MLPS = ("LlamaMLP", "Qwen2MLP", "Qwen3MLP")
NORMS = ("LlamaRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm")


class GatedMLP(nn.Module):
    """In the place of a transformers MLP with SiLU, whose projections it has."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        return self.down_proj(_Gated.apply(self.gate_proj(hidden_XE), self.up_proj(hidden_XE)))


class RMSNorm(nn.Module):
    """In the place of a transformers RMS norm, whose weight and epsilon it has."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        return _RMSNorm.apply(hidden_XE, self.weight, self.variance_epsilon)


def keep_less(model: nn.Module) -> None:
    """Let the layers that are known here keep less; parameters and their names stay."""
    for module in model.modules():
        if type(module).__name__ in MLPS and isinstance(module.act_fn, SiLUActivation):
            module.__class__ = GatedMLP
        elif type(module).__name__ in NORMS:
            module.__class__ = RMSNorm


class _Gated(torch.autograd.Function):
    """silu(gate) * up."""

    @staticmethod
    def forward(ctx, gate_XF: Tensor, up_XF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_XF, up_XF)
        return silu(gate_XF).mul_(up_XF)

    @staticmethod
    def backward(ctx, gradient_XF: Tensor):
        gate_XF, up_XF = ctx.saved_tensors
        gradient_gate_XF = torch.ops.aten.silu_backward(gradient_XF * up_XF, gate_XF)
        return gradient_gate_XF, silu(gate_XF).mul_(gradient_XF)


class _RMSNorm(torch.autograd.Function):
    """weight * x / sqrt(mean(x^2) + eps), the division in float32.

    Under autocast it comes in that precision, once for all the linear layers that would convert it.
    """

    @staticmethod
    def forward(ctx, hidden_XE: Tensor, weight_E: Tensor, epsilon: float) -> Tensor:
        whole_XE = hidden_XE.float()
        scale_X1 = whole_XE.pow(2).mean(-1, keepdim=True).add_(epsilon).rsqrt_()
        ctx.save_for_backward(hidden_XE, weight_E, scale_X1)
        normed_XE = weight_E * (whole_XE * scale_X1).to(hidden_XE.dtype)
        device = hidden_XE.device.type
        if torch.is_autocast_enabled(device):
            normed_XE = normed_XE.to(torch.get_autocast_dtype(device))
        return normed_XE

    @staticmethod
    def backward(ctx, gradient_XE: Tensor):
        hidden_XE, weight_E, scale_X1 = ctx.saved_tensors
        normed_XE = hidden_XE.float() * scale_X1
        gradient_weight_E = None
        if ctx.needs_input_grad[1]:
            gradient_weight_E = (gradient_XE * normed_XE).flatten(0, -2).sum(0).to(weight_E.dtype)
        gradient_normed_XE = gradient_XE.float() * weight_E
        shift_X1 = (gradient_normed_XE * normed_XE).mean(-1, keepdim=True)
        gradient_hidden_XE = gradient_normed_XE.sub_(normed_XE.mul_(shift_X1)).mul_(scale_X1)
        return gradient_hidden_XE.to(hidden_XE.dtype), gradient_weight_E, None
