"""Problems of middling difficulty count most: a bell curve over the group's success rate."""

from pathlib import Path

from torch import Tensor

from rlvr.algorithms import success_rate
from rlvr.config.plugins import Plugin


def midpoint_scaling(
    correct: Tensor, group_index: Tensor, *, middle: float = 0.5, width: float = 0.25
) -> Tensor:
    """exp(-((p - middle) / width)^2 / 2), with p the success rate of each rollout's group.

    Args:
        correct: float, [rollouts]: 1 is right, 0 is wrong, NaN could not be judged.
        group_index: int64, [rollouts]: the group of each.
        middle: the success rate with weight 1.
        width: the distance from it at which the weight is exp(-1/2).

    Returns:
        float, [rollouts], one value a group.
    """
    distance = (success_rate(correct, group_index) - middle) / width
    return (-0.5 * distance**2).exp()


plugin = Plugin(
    conf=Path(__file__).parent / "conf",
    advantage_scalings={"midpoint": midpoint_scaling},
)
