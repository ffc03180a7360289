"""The mathematics of the papers as pure functions of tensors: advantages, scalings, process sets, losses.

Nothing here knows of models, batches or devices, holds state, or aggregates over tokens.
"""

from rlvr.algorithms.advantages import group_relative_advantages, success_rate
from rlvr.algorithms.diagnostics import CLIP_FRACTIONS, clip_fraction, effective_sample_size
from rlvr.algorithms.losses import (
    LOSSES,
    TokenBatch,
    cispo_token_loss,
    grpo_token_loss,
    kl_k3,
    truncated_importance_weight,
)
from rlvr.algorithms.process_sets import (
    ProcessTreeStatistics,
    process_set_sizes,
    process_step_advantages,
    process_tree_statistics,
)
from rlvr.algorithms.rewards import differential_smoothing, soft_overlong_penalty
from rlvr.algorithms.scaling import SCALINGS, focal_weight

__all__ = [
    "CLIP_FRACTIONS",
    "LOSSES",
    "SCALINGS",
    "ProcessTreeStatistics",
    "TokenBatch",
    "cispo_token_loss",
    "clip_fraction",
    "differential_smoothing",
    "effective_sample_size",
    "focal_weight",
    "group_relative_advantages",
    "grpo_token_loss",
    "kl_k3",
    "process_set_sizes",
    "process_step_advantages",
    "process_tree_statistics",
    "soft_overlong_penalty",
    "success_rate",
    "truncated_importance_weight",
]
