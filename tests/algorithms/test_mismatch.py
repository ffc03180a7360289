"""Importance weights between trainer and engine, by hand."""

import math

import pytest
import torch

from rlvr.algorithms import TokenBatch
from rlvr.algorithms.mismatch import MISMATCH_WEIGHTS, mismatch_weight
from rlvr.errors import UserError

# trainer over engine: 2, 0.25, 3 of one rollout, whose product is 1.5; 4, 1 of another: 4
RATIOS = [2.0, 0.25, 3.0, 4.0, 1.0]
ENGINE = torch.tensor([-1.0, -2.0, -3.0, -0.5, -0.1])
TOKENS = TokenBatch(
    logp=torch.zeros(5),
    old_logp=ENGINE + torch.tensor(RATIOS).log(),
    advantages=torch.ones(5),
    rollout_index=torch.tensor([0, 0, 0, 1, 1]),
)


@pytest.mark.parametrize(
    ("kind", "floor", "expected", "cut"),
    [
        ("token_truncate", None, [2, 0.25, 2.5, 2.5, 1], [0, 0, 1, 1, 0]),
        ("token_mask", None, [2, 0.25, 0, 0, 1], [0, 0, 1, 1, 0]),
        ("token_mask", 0.5, [2, 0, 0, 0, 1], [0, 1, 1, 1, 0]),
        ("sequence_truncate", None, [1.5, 1.5, 1.5, 2.5, 2.5], [0, 0, 0, 1, 1]),
        ("sequence_mask", None, [1.5, 1.5, 1.5, 0, 0], [0, 0, 0, 1, 1]),
    ],
)
def test_by_hand(kind: str, floor: float | None, expected: list[float], cut: list[int]):
    weight, outside = mismatch_weight(TOKENS, ENGINE, kind, cap=2.5, floor=floor)
    torch.testing.assert_close(weight, torch.tensor(expected, dtype=torch.float32))
    assert outside.tolist() == [bool(value) for value in cut]


@pytest.mark.parametrize("kind", MISMATCH_WEIGHTS)
def test_equal_policies_have_weight_one_and_far_ones_stay_finite(kind: str):
    same = TOKENS._replace(old_logp=ENGINE)
    assert torch.equal(mismatch_weight(same, ENGINE, kind, cap=2.0)[0], torch.ones(5))
    far = TOKENS._replace(old_logp=ENGINE + 1e4)
    assert all(map(math.isfinite, mismatch_weight(far, ENGINE, kind, cap=2.0)[0].tolist()))


@pytest.mark.parametrize("kind", MISMATCH_WEIGHTS)
def test_weights_have_no_gradient_and_their_cap_is_above_zero(kind: str):
    trained = TOKENS._replace(old_logp=TOKENS.old_logp.clone().requires_grad_())
    assert not mismatch_weight(trained, ENGINE, kind, cap=2.0)[0].requires_grad
    with pytest.raises(UserError, match="cap"):
        mismatch_weight(TOKENS, ENGINE, kind, cap=0.0)
