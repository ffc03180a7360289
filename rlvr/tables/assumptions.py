"""What `rlvr plan` takes for granted where a config does not say it."""

import math
from dataclasses import dataclass, field, fields
from typing import Any

from rlvr.errors import UserError


def assumed(default: float, help: str, most: float | None = None) -> Any:
    return field(default=default, metadata={"help": help, "default": default, "above": 0, "most": most})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a config does not say."""

    gpus: int = assumed(16, "GPUs that share a run")
    gpu_gib: float = assumed(80.0, "memory of one")
    peak_tflops: float = assumed(989.0, "of one, dense bfloat16; the default is an H100's")
    sampling_share: float = assumed(0.10, "of the peak while sampling, which is bound by memory", most=1)
    training_share: float = assumed(0.35, "of the peak in forward and backward", most=1)
    mean_tokens: int = assumed(1000, "of a completion; at most the config's maximum counts")
    prompt_tokens: int = assumed(150, "of a prompt")
    layer_ms: float = assumed(
        0.4, "least time of a layer for one token of all running rollouts (rollout=transformers)"
    )

    @property
    def cards(self) -> str:
        """`1 GPU` or `8 GPUs`."""
        return f"{self.gpus} GPU{'s' if self.gpus > 1 else ''}"

    def __post_init__(self) -> None:
        for item in fields(self):
            value, most = getattr(self, item.name), item.metadata["most"]
            if not 0 < value < math.inf or (most is not None and value > most):
                limit = f" and at most {most:g}" if most is not None else ""
                raise UserError(f"{item.name}={value:g} in what a plan assumes: accepted is above 0{limit}")
