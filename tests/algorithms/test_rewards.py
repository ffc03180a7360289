import pytest
import torch

from rlvr.algorithms.rewards import differential_smoothing, soft_overlong_penalty
from rlvr.errors import UserError


def test_penalty_falls_over_the_buffer():
    # DAPO's own setting: 20,480 tokens of which the last 4,096 are the buffer.
    length = torch.tensor([0, 16_384, 16_385, 18_432, 20_480, 25_000])
    penalty = soft_overlong_penalty(length, max_length=20_480, buffer=4_096, factor=1.0)
    torch.testing.assert_close(penalty, torch.tensor([0, 0, -1 / 4096, -0.5, -1, -1]))


def test_factor_is_the_largest_penalty():
    penalty = soft_overlong_penalty(torch.tensor([8, 9, 10]), max_length=10, buffer=2, factor=3.0)
    assert penalty.tolist() == [0.0, -1.5, -3.0]


@pytest.mark.parametrize("buffer", [0, -1, 11])
def test_buffer_must_fit_into_the_length(buffer):
    with pytest.raises(UserError, match="buffer"):
        soft_overlong_penalty(torch.tensor([5]), max_length=10, buffer=buffer, factor=1.0)


def test_a_negative_factor_is_refused():
    with pytest.raises(UserError, match="factor"):
        soft_overlong_penalty(torch.tensor([5]), max_length=10, buffer=2, factor=-1.0)


def test_rare_correct_answers_are_worth_more_and_rare_wrong_ones_less():
    logprob = torch.tensor([-2.0, -10.0, -2.0, -10.0, -4.0])
    correct = torch.tensor([1.0, 1.0, 0.0, 0.0, torch.nan])
    added = differential_smoothing(logprob, correct, of_correct=0.1, of_wrong=0.05)
    torch.testing.assert_close(added, torch.tensor([0.2, 1.0, -0.1, -0.5, torch.nan]), equal_nan=True)


def test_negative_smoothing_is_refused():
    with pytest.raises(UserError, match="accepted are 0 or more"):
        differential_smoothing(torch.tensor([-1.0]), torch.tensor([1.0]), of_correct=-0.1, of_wrong=0.0)
