"""From raw correctness to advantages: the rewards, the estimator and the scaling that a config chooses."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlvr.algorithms import ADVANTAGES, REWARDS, SCALINGS
from rlvr.config import Config
from rlvr.config.plugins import added
from rlvr.config.registry import Method, is_switched_on
from rlvr.errors import UserError


class Methods:
    """The chosen methods of one run, and what those that remember have seen.

    What they take are the columns that `rlvr.config.registry.ROLLOUTS` names: an entry a rollout.
    """

    def __init__(self, config: Config):
        algorithm, scaling = config.algorithm, config.advantage_scaling
        self.rewards = [
            Method(option, method, getattr(algorithm, option))
            for option, method in added("rewards", REWARDS).items()
            if is_switched_on(method, getattr(algorithm, option))
        ]
        estimators = added("advantages", ADVANTAGES)
        self.advantage = Method(algorithm.advantage, estimators[algorithm.advantage], algorithm)
        self.scaling = Method(scaling.name, added("advantage_scalings", SCALINGS)[scaling.name], scaling)

    def all(self) -> dict[str, Method]:
        """Each by the key that chooses it."""
        return {
            **{f"algorithm.{method.option}": method for method in self.rewards},
            "algorithm.advantage": self.advantage,
            "advantage_scaling": self.scaling,
        }

    def __call__(self, columns: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
        """Reward, weight by the scaling, and scaled advantage of each rollout, all float [R].

        Raises:
            UserError: a method did not return a float tensor [R], or an advantage or a weight is no finite
                number where the rollout has a reward.
        """
        columns = dict(columns)
        reward_R = columns.get("graded", columns["correct"]).clone()
        for method in self.rewards:
            reward_R += _of_rollouts(f"algorithm.{method.option}", method(columns), reward_R)
        columns["rewards"] = reward_R
        advantage_R = _of_rollouts("algorithm.advantage", self.advantage(columns), reward_R)
        _check_finite(f"algorithm.advantage={self.advantage.option}", advantage_R, columns)
        columns["advantages"] = advantage_R
        weight_R = _of_rollouts("advantage_scaling", self.scaling(columns), reward_R)
        _check_finite(f"advantage_scaling={self.scaling.option}", weight_R, columns)
        found = reward_R, weight_R, advantage_R * weight_R
        return tuple(values_R.to(columns["correct"].dtype) for values_R in found)

    def observe(self, columns: Mapping[str, Any]) -> None:
        """Tell the methods that remember what was sampled; once a step, after its advantages were taken."""
        for method in self.all().values():
            method.observe(columns)

    def state_dict(self) -> dict[str, Any]:
        return {key: method.function.state_dict() for key, method in self.all().items() if method.remembers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for key, of_method in state.items():
            self.all()[key].function.load_state_dict(of_method)


def _of_rollouts(key: str, values: Any, like_R: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != like_R.shape or not values.is_floating_point():
        given = (
            f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        )
        raise UserError(
            f"the method of {key} returned {given}: accepted is a float tensor with an entry for each of "
            f"{len(like_R)} rollouts"
        )
    return values.to(torch.promote_types(values.dtype, like_R.dtype))


def _check_finite(key: str, values_R: Tensor, columns: Mapping[str, Any]) -> None:
    """0 times a weight of infinity is NaN, and so are then the gradients of the whole mini-batch."""
    bad_R = ~values_R.isfinite() & ~columns["rewards"].isnan()
    if bad_R.any():
        first = int(bad_R.nonzero()[0])
        correct = columns["correct"][columns["group_index"] == columns["group_index"][first]]
        raise UserError(
            f"{key} gave {values_R[first].item()} for a rollout of a group with {int(correct.nansum())} of "
            f"{int((~correct.isnan()).sum())} right: accepted are finite numbers, for groups that are all "
            "wrong or all right too"
        )
