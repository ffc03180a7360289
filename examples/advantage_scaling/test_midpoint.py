import math

import torch
from rlvr_midpoint import midpoint_scaling


def test_the_weight_by_hand():
    """Success rates 1/2, 3/4 and 1: no, one and two widths from the middle."""
    correct = torch.tensor([1.0, 0, 1, 1, 1, 0, 1, math.nan])
    group = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2])

    weight = midpoint_scaling(correct, group, middle=0.5, width=0.25)

    torch.testing.assert_close(weight, torch.tensor([1.0] * 2 + [math.exp(-0.5)] * 4 + [math.exp(-2.0)] * 2))
