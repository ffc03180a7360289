"""Optimizers of the trainer, and where and in how many bytes each keeps its state."""

from typing import NamedTuple


class StateBytes(NamedTuple):
    """Bytes of optimizer state a trained parameter, where training goes on and in host memory."""

    device: float
    host: float


def state_bytes(optimizer: str, bytes_per_parameter: int = 4) -> StateBytes:
    """Of `adamw`, `adamw_8bit` or `adamw_host`, for parameters of so many bytes.

    Two moments a parameter, in its precision; or in 8 bits, with a float32 scale for every 256 of them.
    """
    moments = 2 * bytes_per_parameter
    return {
        "adamw": StateBytes(moments, 0),
        "adamw_8bit": StateBytes(2 * (1 + 4 / 256), 0),
        "adamw_host": StateBytes(0, moments),
    }[optimizer]
