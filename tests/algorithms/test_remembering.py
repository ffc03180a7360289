"""Weights with a state: by hand over a few steps, and the same after the state has been saved and loaded."""

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rlvr.algorithms import SCALINGS

NAN = math.nan
# steps of (correct, problem of each rollout)
STEPS = [
    ([0.0, 0, 1, 0, 1, 1, 1, 0], ["a"] * 2 + ["b"] * 2 + ["c"] * 4),
    ([1.0, 0, 0, NAN, 0, 0, 0, 1], ["a"] * 2 + ["b"] * 2 + ["d"] * 4),
    ([1.0, 1, 0, 1, 0, 1, 1, 1], ["a"] * 2 + ["b"] * 2 + ["c"] * 4),
]
OPTIONS = {
    "unsolved_only": {"solved": 0.25},
    "focal_posterior": {"gamma": 1.0, "discount": 0.5, "prior_right": 1.0, "prior_wrong": 1.0},
    "curverl": {"window": 1},
}


def columns(step: int) -> dict[str, Any]:
    correct, names = STEPS[step]
    groups = torch.tensor(["abcd".index(name) for name in names])
    return {"correct": torch.tensor(correct), "problem_ids": names, "group_index": groups}


def call(method: Any, step: int, observe: bool = True) -> Tensor:
    offered = columns(step)
    second = "group_index" if type(method).__name__ == "CurveRL" else "problem_ids"
    weights = method(offered["correct"], offered[second])
    if observe:
        method.observe(offered["correct"], offered[second])
    return weights


def test_unsolved_only_by_hand():
    """b and c are solved in the first step, a and d in the second."""
    method = SCALINGS["unsolved_only"](solved=0.25)
    found = [call(method, step).tolist() for step in range(3)]
    assert found == [[1.0] * 8, [1.0] * 2 + [0.25] * 2 + [1.0] * 4, [0.25] * 8]


def test_focal_posterior_by_hand():
    """a: (1 + 0) of 4, then 1 + 0 + 1 of 2 + 1 + 2; d: (1 + 1) of 6. Of b's second pair one was judged."""
    method = SCALINGS["focal_posterior"](gamma=1.0)
    first, second = call(method, 0), call(method, 1)
    torch.testing.assert_close(first, torch.tensor([3 / 4] * 2 + [1 / 2] * 2 + [1 / 3] * 4))
    expected = [1 - 2 / 5] * 2 + [1 - 1.5 / 4] * 2 + [1 - 2 / 6] * 4
    torch.testing.assert_close(second, torch.tensor(expected))


def test_focal_posterior_without_memory_and_prior_is_focal():
    method = SCALINGS["focal_posterior"](gamma=0.5, discount=0.0, prior_right=0.0, prior_wrong=0.0)
    for step in range(3):
        offered = columns(step)
        focal = SCALINGS["focal"](offered["correct"], offered["group_index"], gamma=0.5)
        torch.testing.assert_close(call(method, step), focal)


def test_curverl_by_hand():
    """Rates in five bins. First step: its own 1/2 (bin 2) and 3/4 (bin 3): 1/1 and 1/2; a is all wrong.

    Second: against these two, 1/2 of a has 1/1, and d's 1/4 is in an empty bin; b is all wrong. Third, with a
    window of one step: against 1/2 and 1/4, 1/2 of b is 1/2 and 3/4 of c in an empty bin.
    """
    method = SCALINGS["curverl"](window=1)
    found = [call(method, step).tolist() for step in range(3)]
    assert found[0] == [0.0] * 2 + [1.0] * 2 + [0.5] * 4
    assert found[1] == [1.0] * 2 + [0.0] * 6
    assert found[2] == [0.0] * 2 + [0.5] * 2 + [0.0] * 4


def test_curverl_of_rates_spread_evenly_is_maxrl_over_n():
    """One group of eight each with 1 to 7 right: 1, 1/2, ... 1/7, where MaxRL has 8, 4, ... 8/7."""
    rewards = torch.tensor([[1.0] * right + [0.0] * (8 - right) for right in range(1, 8)]).flatten()
    groups = torch.arange(7).repeat_interleave(8)
    weight = SCALINGS["curverl"](window=1)(rewards, groups)
    torch.testing.assert_close(weight, SCALINGS["power"](rewards, groups, exponent=1.0) / 8)


@pytest.mark.parametrize("name", OPTIONS)
def test_calls_change_nothing_and_a_loaded_state_goes_on_as_the_first(name: str):
    first, resumed = SCALINGS[name](**OPTIONS[name]), SCALINGS[name](**OPTIONS[name])
    call(first, 0)
    call(first, 1, observe=False)  # dynamic sampling asks several times in a step
    call(first, 1)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    fresh = SCALINGS[name](**OPTIONS[name])
    weights = call(first, 2)
    assert torch.equal(call(resumed, 2), weights)
    assert first.state_dict() == resumed.state_dict()
    assert not torch.equal(call(fresh, 2), weights)  # the state is what makes them
