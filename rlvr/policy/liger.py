"""Norms and gated MLPs through Liger's Triton kernels, on CUDA: one kernel each, fewer activations."""

from torch import Tensor, nn
from transformers.activations import SiLUActivation

from rlvr.errors import UserError
from rlvr.policy.families import MLPS, NORMS, full_name


def use_liger(model: nn.Module) -> int:
    """Exchange the layers that are exactly known ones, in place; how many. Parameters and names stay.

    Raises:
        UserError: without liger-kernel or the Triton that it needs.
    """
    try:
        import liger_kernel.transformers.functional  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"training.liger=true was given, but liger-kernel can't be used here ({error}): "
            "`pip install 'rlvr[liger]'` on a machine with CUDA, or leave it false"
        ) from error
    known = [module for module in model.modules() if replacement(module) is not None]
    for module in known:
        module.__class__ = replacement(module)
    return len(known)


def replacement(module: nn.Module) -> type[nn.Module] | None:
    """The class that computes what a module does; None for one that is not known."""
    name = full_name(module)
    if name in NORMS:
        return RMSNorm
    if name in MLPS and isinstance(module.act_fn, SiLUActivation):
        return GatedMLP
    return None


class RMSNorm(nn.Module):
    """In the place of a transformers RMS norm, whose weight and epsilon it has."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        from liger_kernel.transformers.functional import liger_rms_norm

        # its gradient is not to be written over: the residual stream adds to it
        return liger_rms_norm(hidden_XE, self.weight, self.variance_epsilon, 0.0, "llama", False)


class GatedMLP(nn.Module):
    """In the place of a transformers MLP with SiLU, whose projections it calls."""

    def forward(self, hidden_XE: Tensor) -> Tensor:
        from liger_kernel.transformers.functional import liger_swiglu

        return self.down_proj(liger_swiglu(self.gate_proj(hidden_XE), self.up_proj(hidden_XE)))
