"""Packs by hand: which rollouts go through the model together."""

import pytest

from rlvr.policy.packing import pack_micro_batches


@pytest.mark.parametrize(
    ("groups", "prompts", "lengths", "budget", "expected"),
    [
        # a prompt counts once: 2 + 3 + 3 and 2 + 3 + 3
        ([0, 0, 1, 1], [2] * 4, [3] * 4, 16, [[0, 1, 2, 3]]),
        ([0, 0, 1, 1], [2] * 4, [3] * 4, 15, [[0, 1], [2, 3]]),
        # two packs either way, so of two rollouts each and not of three and one
        ([0, 1, 2, 3], [2] * 4, [3] * 4, 15, [[0, 1], [2, 3]]),
        # where a group is split its prompt is there twice
        ([0, 0], [2, 2], [3, 3], 7, [[0], [1]]),
        # longer than the budget: alone
        ([0, 1, 1], [2, 2, 2], [9, 1, 1], 4, [[0], [1, 2]]),
        ([], [], [], 4, []),
    ],
)
def test_packs_are_few_and_even(groups, prompts, lengths, budget, expected):
    assert pack_micro_batches(groups, prompts, lengths, budget) == expected
