"""Drop-in layers for Llama and Qwen that save fewer activations; outputs equal up to rounding.

transformers' gated MLP keeps four tensors of its inner width a token, this one two; its
RMS norm keeps its input and the normed input, this one the input alone. What is missing is computed again,
elementwise. Rotary embeddings are three passes in place of six, and projections of one input may be one
product.
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import SiLUActivation

from rlvr.policy.attention import Layout, attend
from rlvr.policy.cpu.linear import cast_once, fused_projections, gradients, has_onednn, is_plain, matmul
from rlvr.policy.families import ATTENTIONS, MLPS, NORMS, full_name


class Attention:
    """Before a transformers attention, whose projections it has; does itself what comes with a layout."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        *,
        layout: Layout | None = None,
        **others,
    ) -> tuple[Tensor, Tensor | None]:
        if layout is None:
            return super().forward(hidden_states, position_embeddings, attention_mask, **others)
        query_THD, key_TKD, value_TKD = (
            projected_1TX.squeeze(0).unflatten(-1, (-1, self.head_dim))
            for projected_1TX in fused_projections(hidden_states, (self.q_proj, self.k_proj, self.v_proj))
        )
        if hasattr(self, "q_norm"):
            query_THD, key_TKD = self.q_norm(query_THD), self.k_norm(key_TKD)
        cosine_T1D, sine_T1D = (part_1TD[0, :, None] for part_1TD in position_embeddings)
        sine_T1D = sine_T1D * _signs(self.head_dim, sine_T1D.dtype, sine_T1D.device)
        query_THD, key_TKD = (
            _Rotated.apply(block_THD, cosine_T1D, sine_T1D) for block_THD in (query_THD, key_TKD)
        )
        output_THD = attend(layout, self.layer_idx, query_THD, key_TKD, value_TKD, self.scaling)
        return self.o_proj(output_THD.flatten(1)[None]), None


class GatedMLP(nn.Module):
    """In the place of a transformers MLP with SiLU, whose projections it has."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        gate_XF, up_XF = fused_projections(hidden_XE, (self.gate_proj, self.up_proj))
        down = self.down_proj
        if torch.is_grad_enabled() and is_plain(down) and has_onednn(gate_XF, down.weight):
            return _GatedLinear.apply(gate_XF, up_XF, down.weight, down.bias)
        return down(_Gated.apply(gate_XF, up_XF))


class RMSNorm(nn.Module):
    """In the place of a transformers RMS norm, whose weight and epsilon it has."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        return _RMSNorm.apply(hidden_XE, self.weight, self.variance_epsilon)


def use_memory_saving_layers(model: nn.Module) -> None:
    """Exchange the layers that are exactly known ones; parameters and their names stay."""
    for module in model.modules():
        name = full_name(module)
        if name in MLPS and isinstance(module.act_fn, SiLUActivation):
            module.__class__ = GatedMLP
        elif name in NORMS:
            module.__class__ = RMSNorm
        elif name in ATTENTIONS:
            module.__class__ = _with_layouts(type(module))


@functools.cache
def _with_layouts(attention: type[nn.Module]) -> type[nn.Module]:
    return type(attention.__name__, (Attention, attention), {})


class _Rotated(torch.autograd.Function):
    """Rotary position embedding: x cos + (-x2, x1) sin, where x = (x1, x2) and both halves of sin are one.

    The sine comes with the sign of its half: (-sin, sin).
    """

    @staticmethod
    def forward(ctx, input_THD: Tensor, cosine_T1D: Tensor, sine_T1D: Tensor) -> Tensor:
        ctx.save_for_backward(cosine_T1D, sine_T1D)
        return _rotated(input_THD, cosine_T1D, sine_T1D, 1)

    @staticmethod
    def backward(ctx, gradient_THD: Tensor):
        return _rotated(gradient_THD, *ctx.saved_tensors, -1), None, None


def _rotated(input_THD: Tensor, cosine_T1D: Tensor, sine_T1D: Tensor, direction: int) -> Tensor:
    whole_THD = input_THD.to(cosine_T1D.dtype)
    swapped_THD = whole_THD.roll(whole_THD.shape[-1] // 2, -1)
    rotated_THD = (whole_THD * cosine_T1D).addcmul_(swapped_THD, sine_T1D, value=direction)
    return rotated_THD.to(input_THD.dtype)


@functools.cache
def _signs(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """-1 for the first half of a head, 1 for the second."""
    return torch.tensor([-1, 1], dtype=dtype, device=device).repeat_interleave(size // 2)


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


class _GatedLinear(torch.autograd.Function):
    """(silu(gate) * up) @ weight.T + bias, of which the gated product is not kept."""

    @staticmethod
    def forward(ctx, gate_XF: Tensor, up_XF: Tensor, weight_EF: Tensor, bias_E: Tensor | None) -> Tensor:
        ctx.cast_EF = cast_once(weight_EF)
        ctx.save_for_backward(gate_XF, up_XF, weight_EF)
        return matmul(silu(gate_XF).mul_(up_XF), ctx.cast_EF, cast_once(bias_E))

    @staticmethod
    def backward(ctx, gradient_XE: Tensor):
        gate_XF, up_XF, weight_EF = ctx.saved_tensors
        silu_XF = silu(gate_XF)
        gradient_XF, *others = gradients(
            [gradient_XE], silu_XF * up_XF, [weight_EF], [ctx.cast_EF], (True, *ctx.needs_input_grad[2:])
        )
        gradient_up_XF = silu_XF.mul_(gradient_XF)
        return torch.ops.aten.silu_backward(gradient_XF.mul_(up_XF), gate_XF), gradient_up_XF, *others


class _RMSNorm(torch.autograd.Function):
    """weight * x / sqrt(mean(x^2) + eps), the division in float32.

    Under autocast it comes in that precision, once for all the linear layers that would convert it.
    """

    @staticmethod
    def forward(ctx, hidden_XE: Tensor, weight_E: Tensor, epsilon: float) -> Tensor:
        whole_XE = hidden_XE.float()
        square_X1 = torch.linalg.vector_norm(whole_XE, dim=-1, keepdim=True).square_()
        scale_X1 = square_X1.div_(whole_XE.shape[-1]).add_(epsilon).rsqrt_()
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
