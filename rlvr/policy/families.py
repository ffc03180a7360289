"""Decoder layers of transformers that are known exactly, by their full names.

Full ones, so that a class of somebody else's that is called the same is not taken for one of these.
"""

from torch import nn

FAMILIES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
ATTENTIONS, MLPS, NORMS = (
    {f"transformers.models.{module}.modeling_{module}.{name}{kind}" for module, name in FAMILIES.items()}
    for kind in ("Attention", "MLP", "RMSNorm")
)


def full_name(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"
