"""The mathematics of the papers as pure functions of tensors: advantages, scalings, process sets, losses.

Nothing here knows of models, batches or devices, or aggregates over tokens. Each module ends with the
registry of its options; `rlvr.config.registry` says what makes a function an option.
"""

from rlvr.algorithms.advantages import (
    ADVANTAGES,
    group_relative_advantages,
    maxrl,
    pass_at_k,
    reinforce_plus_plus,
    rloo,
    signed,
    success_rate,
)
from rlvr.algorithms.credit import CREDITS
from rlvr.algorithms.diagnostics import CLIP_FRACTIONS, clip_fraction, effective_sample_size
from rlvr.algorithms.losses import (
    LOSSES,
    TokenBatch,
    cispo_token_loss,
    grpo_token_loss,
    kl_k3,
    truncated_importance_weight,
)
from rlvr.algorithms.mismatch import MISMATCH_WEIGHTS, mismatch_weight
from rlvr.algorithms.process_sets import (
    ProcessTreeStatistics,
    process_set_sizes,
    process_step_advantages,
    process_tree_statistics,
)
from rlvr.algorithms.rewards import REWARDS, differential_smoothing, soft_overlong_penalty
from rlvr.algorithms.scaling import SCALINGS, focal_weight

__all__ = [
    "ADVANTAGES",
    "CLIP_FRACTIONS",
    "CREDITS",
    "LOSSES",
    "MISMATCH_WEIGHTS",
    "REWARDS",
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
    "maxrl",
    "mismatch_weight",
    "pass_at_k",
    "process_set_sizes",
    "process_step_advantages",
    "process_tree_statistics",
    "reinforce_plus_plus",
    "rloo",
    "signed",
    "soft_overlong_penalty",
    "success_rate",
    "truncated_importance_weight",
]
