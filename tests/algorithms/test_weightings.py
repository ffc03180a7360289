"""The family of weightings: each by hand, and the identities that make them one family."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rlvr.algorithms import SCALINGS
from rlvr.algorithms.advantages import group_relative_advantages, maxrl, pass_at_k, rloo, signed
from rlvr.data.answer_form import answer_form

NAN = math.nan
# one right of four, two of three, none of two, all of two; one that could not be judged
CORRECT = torch.tensor([1.0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, NAN], dtype=torch.float64)
GROUPS = torch.tensor([7, 7, 7, 7, 2, 2, 2, 5, 5, 9, 9, 9])
UNNORMALISED = group_relative_advantages(CORRECT, GROUPS, normalize_std=False)


def scaling(name: str, **keys: float) -> Tensor:
    return SCALINGS[name](CORRECT, GROUPS, **keys)


def close(found: Tensor, expected: list[float] | Tensor) -> None:
    expected = torch.as_tensor(expected, dtype=found.dtype)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_power_by_hand():
    """1/4 and 2/3 to the power -1/2; a group of two without a success counts as 1/2."""
    expected = [2.0] * 4 + [math.sqrt(1.5)] * 3 + [math.sqrt(2)] * 2 + [1.0] * 3
    close(scaling("power", exponent=0.5), expected)
    close(scaling("power", exponent=0.0), [1.0] * 12)


def test_maxrl_by_hand():
    """(1 - 1/4) / (1/4) = 3 and -1; (1 - 2/3) / (2/3) = 1/2 and -1; nothing where all are equal."""
    close(maxrl(CORRECT, CORRECT, GROUPS), [3, -1, -1, -1, 0.5, 0.5, -1, 0, 0, 0, 0, 0])


def test_inverse_std_by_hand():
    """1 / sqrt(1/4 3/4) and 1 / sqrt(2/3 1/3)."""
    expected = [4 / math.sqrt(3)] * 4 + [3 / math.sqrt(2)] * 3 + [0.0] * 5
    close(scaling("inverse_std"), expected)


def test_power_one_without_a_standard_deviation_is_maxrl():
    close(scaling("power", exponent=1.0) * UNNORMALISED, maxrl(CORRECT, CORRECT, GROUPS))


def test_inverse_std_makes_dr_grpo_grpo():
    grpo = group_relative_advantages(CORRECT, GROUPS, ddof=0, eps=0.0)
    close(scaling("inverse_std") * UNNORMALISED, grpo)


def test_signed_by_hand():
    weighted = signed(torch.tensor([1.0, 0, NAN]), positive_weight=0.1)
    torch.testing.assert_close(weighted, torch.tensor([0.1, -1.0, 0.0]))


def test_positive_and_negative_samples_are_the_whole_gradient():
    psr = signed(CORRECT, negative_weight=0.0)
    nsr = signed(CORRECT, positive_weight=0.0)
    close(psr + nsr, signed(CORRECT))


def test_pass_at_k_by_hand():
    """One right of four, k = 2. Sets with a wrong one: 1 of 3 has the right one, so q = 1/3; pass@2 = 1/2.

    Of the three others a wrong rollout has one right: pass@2 of them is 2/3, pass@1 1/3; the right one's
    others are all wrong.
    """
    one, group = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), torch.zeros(4, dtype=torch.int64)

    def advantage(baseline: str, normalize_std: bool = False) -> Tensor:
        return pass_at_k(one, group, k=2, baseline=baseline, normalize_std=normalize_std)

    close(advantage("mean", normalize_std=True), [1, -1 / 3, -1 / 3, -1 / 3])  # 1/2 and -1/6 over 1/2
    close(advantage("mean"), [1, -1 / 3, -1 / 3, -1 / 3])  # twice 1/2 and -1/6
    close(advantage("none"), [2, 2 / 3, 2 / 3, 2 / 3])
    close(advantage("leave_one_out"), [2, -2 / 3, -2 / 3, -2 / 3])
    close(advantage("leave_one_out_minus_one"), [2, 0, 0, 0])


def test_pass_at_one_training_is_leave_one_out_and_grpo():
    close(
        pass_at_k(CORRECT, GROUPS, k=1, baseline="leave_one_out", normalize_std=False), rloo(CORRECT, GROUPS)
    )
    close(pass_at_k(CORRECT, GROUPS, k=1, normalize_std=False), UNNORMALISED)
    grpo = group_relative_advantages(CORRECT, GROUPS, ddof=0, eps=0.0)
    close(pass_at_k(CORRECT, GROUPS, k=1), grpo)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_mean_baseline_is_the_leave_one_out_one_but_for_a_factor(k: int):
    """q - pass@k = (1 - k/N) (q - pass@k of the others), whatever N > k and c."""
    for n, c in itertools.product(range(k + 1, 7), range(7)):
        one = torch.tensor([1.0] * min(c, n) + [0.0] * (n - min(c, n)), dtype=torch.float64)
        group = torch.zeros(n, dtype=torch.int64)
        both = [
            pass_at_k(one, group, k=k, baseline=name, normalize_std=False)
            for name in ("mean", "leave_one_out")
        ]
        close(both[0], (1 - k / n) * both[1])


def expected_gradient(estimate: Callable[[Tensor, Tensor], Tensor], n: int, p: float) -> float:
    """E of the mean of A_i d log pi(o_i)/dp over all outcomes of n rollouts, each right with chance p."""
    total = 0.0
    for outcome in itertools.product([1.0, 0.0], repeat=n):
        correct = torch.tensor(outcome, dtype=torch.float64)
        score = correct / p - (1 - correct) / (1 - p)
        chance = float((correct * p + (1 - correct) * (1 - p)).prod())
        total += chance * float((estimate(correct, torch.zeros(n, dtype=torch.int64)) * score).mean())
    return total


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "leave_one_out_minus_one", "mean"])
def test_its_expectation_is_the_derivative_of_pass_at_k(k: int, baseline: str):
    """d/dp (1 - (1 - p)^k) = k (1 - p)^(k-1), exactly; 1 - k/N of it with the mean as the baseline."""
    n = 5
    for p in (0.1, 0.5, 0.8):
        found = expected_gradient(
            lambda correct, group: pass_at_k(correct, group, k=k, baseline=baseline, normalize_std=False),
            n,
            p,
        )
        slope = k * (1 - p) ** (k - 1) * ((1 - k / n) if baseline == "mean" else 1)
        assert found == pytest.approx(slope, rel=1e-12)


def test_the_expectation_of_maxrl_is_the_gradient_of_log_p_to_the_order_of_the_group():
    """sum over k <= N of (1/k) grad pass@k = (1 - (1 - p)^N) / p, less the share of the baseline."""
    n, p = 4, 0.3

    def without_baseline(correct: Tensor, group: Tensor) -> Tensor:
        rate = correct.mean()
        return correct / rate if rate else torch.zeros_like(correct)

    series = sum((1 - p) ** (k - 1) for k in range(1, n + 1))
    assert expected_gradient(without_baseline, n, p) == pytest.approx(series, rel=1e-12)
    # -1 for every rollout of a group with a success; scores are 0 in the mean over all groups
    baseline = -((1 - p) ** (n - 1))
    found = expected_gradient(lambda correct, group: maxrl(correct, correct, group), n, p)
    assert found == pytest.approx(series + baseline, rel=1e-12)


def test_groups_smaller_than_k_and_what_could_not_be_judged():
    """With two rollouts k is 2, and the lone one has no others."""
    correct = torch.tensor([1.0, 0, NAN, 1])
    found = pass_at_k(correct, torch.tensor([1, 1, 1, 3]), k=4, baseline="leave_one_out_minus_one")
    assert found.tolist() == [0, 0, 0, 0]  # pass@2 of the pair is 1: no deviation
    found = pass_at_k(
        correct, torch.tensor([1, 1, 1, 3]), k=4, baseline="leave_one_out_minus_one", normalize_std=False
    )
    torch.testing.assert_close(found, torch.tensor([2.0, 0, 0, 0]))


def test_smoothed_pass_at_k_by_hand():
    """k = 2: 2 E[1 - p] = 2 (wrong + 1) / (N + 2); any group size will do."""
    expected = [2 * 4 / 6] * 4 + [2 * 2 / 5] * 3 + [2 * 3 / 4] * 2 + [2 * 1 / 4] * 3
    close(scaling("smoothed_pass_at_k", k=2.0), expected)
    close(scaling("smoothed_pass_at_k", k=1.0), [1.0] * 12)


def test_smoothed_pass_at_k_becomes_the_focal_weight_with_many_rollouts():
    """k (1 - p)^(k-1) is k times the focal weight with gamma = k - 1."""
    correct = torch.zeros(4000, dtype=torch.float64)
    correct[:1000] = 1
    group = torch.zeros(4000, dtype=torch.int64)
    smoothed = SCALINGS["smoothed_pass_at_k"](correct, group, k=3.0)
    focal = 3 * SCALINGS["focal"](correct, group, gamma=2.0)
    torch.testing.assert_close(smoothed, focal, rtol=1e-3, atol=0)


def test_rare_answers_by_hand():
    """Three right answers in two forms: weights 1/2, 1/2, 1 with a mean of 2/3."""
    correct, group = torch.tensor([1.0, 1, 1, 0, 1]), torch.tensor([0, 0, 0, 0, 1])
    texts = ["3+4*2", "2*4 + 3", "2+3*3", "3+4*2", "1"]
    weights = SCALINGS["rare_answer"](correct, group, texts, exponent=1.0)
    torch.testing.assert_close(weights, torch.tensor([0.75, 0.75, 1.5, 1, 1]))
    assert SCALINGS["rare_answer"](correct, group, texts, exponent=0.0).tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("3+4*2", "(2*4)+3", True),
        ("8-(3-1)", "8-3+1", True),
        ("8-(3-1)", "1+8-3", True),
        ("3*(4+2)", "3*4+2", False),
        ("5-3", "3-5", False),
        ("2*(3*4)", "4*2*3", True),
        ("no  answer", "no answer", True),
        ("2**3", "3**2", False),
        ("3+", "+3", False),
    ],
)
def test_the_form_of_an_answer(one: str, other: str, same: bool):
    assert (answer_form(one) == answer_form(other)) is same


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_whole_and_boolean_correctness_is_weighed_as_floats_are(dtype: torch.dtype):
    """Groups of two right of four, and of none. Weights below 1 were cut to 0, and of booleans all were 1."""
    right, groups = torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 0]), torch.arange(2).repeat_interleave(4)
    names, texts = ["a"] * 4 + ["b"] * 4, ["1+2", "2", "3", "2+1"] + ["9"] * 4
    arguments = {"rare_answer": (groups, texts)} | dict.fromkeys(
        ("unsolved_only", "focal_posterior"), (names,)
    )

    def weights(name: str, correct: Tensor) -> Tensor:
        option, rest = SCALINGS[name], arguments.get(name, (groups,))
        if name not in ("unsolved_only", "focal_posterior", "curverl"):
            return option(correct, *rest)
        method = option(solved=0.5) if name == "unsolved_only" else option()
        method.observe(right, *rest)
        return method(correct, *rest)

    for name in SCALINGS:
        close(weights(name, right.to(dtype)), weights(name, right))
    assert weights("unsolved_only", right.to(dtype)).tolist() == [0.5] * 4 + [1.0] * 4
    close(weights("power", right.to(dtype)), [2**0.5] * 4 + [2.0] * 4)
