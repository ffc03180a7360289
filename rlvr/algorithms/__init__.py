"""The mathematics of the papers as pure functions of tensors: advantages, scalings, process sets, losses.

Nothing here knows of models, batches or devices, or aggregates over tokens. Each module ends with the
registry of its options; `rlvr.config.registry` says what makes a function an option.
"""

from rlvr.algorithms.advantages import ADVANTAGES, group_relative_advantages, success_rate
from rlvr.algorithms.credit import CREDITS
from rlvr.algorithms.diagnostics import CLIP_FRACTIONS, clip_fraction, effective_sample_size
from rlvr.algorithms.losses import LOSSES, TokenBatch, cispo_token_loss, grpo_token_loss, kl_k3
from rlvr.algorithms.mismatch import mismatch_weight
from rlvr.algorithms.process_sets import process_set_sizes, process_step_advantages, process_tree_statistics
from rlvr.algorithms.rewards import REWARDS
from rlvr.algorithms.scaling import SCALINGS, focal_weight

__all__ = [
    "ADVANTAGES",
    "CLIP_FRACTIONS",
    "CREDITS",
    "LOSSES",
    "REWARDS",
    "SCALINGS",
    "TokenBatch",
    "cispo_token_loss",
    "clip_fraction",
    "effective_sample_size",
    "focal_weight",
    "group_relative_advantages",
    "grpo_token_loss",
    "kl_k3",
    "mismatch_weight",
    "process_set_sizes",
    "process_step_advantages",
    "process_tree_statistics",
    "success_rate",
]
