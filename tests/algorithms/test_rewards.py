import torch

from rlvr.algorithms.rewards import DifferentialSmoothing, overlong_penalty


def test_penalty_falls_over_the_buffer():
    # DAPO's own setting: 20,480 tokens of which the last 4,096 are the buffer.
    lengths = torch.tensor([0, 16_384, 16_385, 18_432, 20_480, 25_000])
    penalty = overlong_penalty(lengths, 20_480, buffer=4_096)
    torch.testing.assert_close(penalty, torch.tensor([0, 0, -1 / 4096, -0.5, -1, -1]))


def test_factor_is_the_largest_penalty_and_a_buffer_of_0_is_none():
    lengths = torch.tensor([8, 9, 10])
    assert overlong_penalty(lengths, 10, buffer=2, factor=3.0).tolist() == [0.0, -1.5, -3.0]
    assert overlong_penalty(lengths, 10, factor=3.0).tolist() == [0.0, 0.0, 0.0]


def test_rare_correct_answers_are_worth_more_and_rare_wrong_ones_less():
    logprobs = torch.tensor([-2.0, -10.0, -2.0, -10.0, -4.0])
    correct = torch.tensor([1.0, 1.0, 0.0, 0.0, torch.nan])
    added = DifferentialSmoothing(correct=0.1, wrong=0.05)(logprobs, correct)
    torch.testing.assert_close(added, torch.tensor([0.2, 1.0, -0.1, -0.5, torch.nan]), equal_nan=True)
