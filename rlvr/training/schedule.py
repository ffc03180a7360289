"""The learning rate of every optimizer step: the warm-up, and what comes after it."""

import math

from rlvr.config.schema import TrainingConfig


def learning_rate(updates: int, training: TrainingConfig) -> float:
    """Of the optimizer step that comes after so many others.

    It rises in a line over the warm-up. Then it is constant, or falls in a line or along half a cosine such
    that it would be 0 in the step after the run's last one, as in transformers and TRL.
    """
    warmup = training.warmup_steps
    if updates < warmup:
        return training.learning_rate * ((updates + 1) / warmup)
    total = training.optimizer_steps
    left = max(total - updates, 0) / max(total - warmup, 1)
    share = {
        "constant": 1.0,
        "linear": left,
        "cosine": (1 + math.cos(math.pi * (1 - left))) / 2,
    }
    return training.learning_rate * share[training.lr_scheduler_type]
