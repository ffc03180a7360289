import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rlvr.algorithms import process_set_sizes, process_step_advantages, process_tree_statistics

# The example of the λ-GRPO authors, one character a token.
WORDS = ["ABCD", "ABEFHI", "JKLM", "JKLNQST", "JKLNQU", "VWYZ"]
FIGURE = [[ord(letter) for letter in word] for word in WORDS]
FIGURE_REWARDS = [0.5, 0.5, 1.0, 0.0, 0.0, 0.5]

few_tokens = st.lists(st.integers(0, 2), max_size=6)
groups = st.lists(few_tokens, min_size=1, max_size=8)


def as_lists(rows):
    return [row.tolist() for row in rows]


def sizes_by_definition(completions):
    return [
        [sum(other[: t + 1] == row[: t + 1] for other in completions) for t in range(len(row))]
        for row in completions
    ]


def test_sizes_of_the_papers_example():
    assert as_lists(process_set_sizes(FIGURE)) == [
        [2, 2, 1, 1],
        [2, 2, 1, 1, 1, 1],
        [3, 3, 3, 1],
        [3, 3, 3, 2, 2, 1, 1],
        [3, 3, 3, 2, 2, 1],
        [1, 1, 1, 1],
    ]


@pytest.mark.parametrize(
    ("ddof", "low", "high", "lowest"), [(1, 0.2214, 1.5498, -1.107), (0, 0.2425, 1.6977, -1.2127)]
)
def test_step_advantages_of_the_papers_example(ddof, low, high, lowest):
    expected = [
        [low] * 4,
        [low] * 6,
        [-low] * 3 + [high],
        [-low] * 3 + [lowest] * 4,
        [-low] * 3 + [lowest] * 3,
        [low] * 4,
    ]
    steps = process_step_advantages(FIGURE, torch.tensor(FIGURE_REWARDS, dtype=torch.float64), ddof=ddof)
    for row, expected_row in zip(steps, expected, strict=True):
        np.testing.assert_allclose(row, expected_row, atol=6e-5)


def test_tree_statistics_of_the_papers_example():
    statistics = process_tree_statistics(FIGURE)
    assert not statistics.is_flat
    # Paths: AB-CD, AB-EFHI, JKL-M, JKL-NQ-ST, JKL-NQ-U, VWYZ.
    assert statistics.mean_path_depth == pytest.approx((2 + 2 + 2 + 3 + 3 + 1) / 6)
    assert statistics.intermediate_proportion == pytest.approx(
        (2 / 4 + 2 / 6 + 3 / 4 + 5 / 7 + 5 / 6 + 0) / 6
    )


@settings(derandomize=True, deadline=None, max_examples=300)
@given(groups)
def test_sizes_follow_the_definition(completions):
    assert as_lists(process_set_sizes(completions)) == sizes_by_definition(completions)


@settings(derandomize=True, deadline=None)
@given(groups, st.data())
def test_step_advantages_follow_the_definition(completions, data):
    reward = st.sampled_from([0.0, 0.5, 1.0, float("nan")])
    rewards = data.draw(st.lists(reward, min_size=len(completions), max_size=len(completions)))
    scorable = np.array(rewards)[~np.isnan(rewards)]
    mean, std = (scorable.mean(), scorable.std(ddof=1)) if len(set(scorable)) > 1 else (0.0, np.inf)
    steps = process_step_advantages(completions, rewards)
    for row, own_reward, advantages in zip(completions, rewards, steps, strict=True):
        expected = []
        for t in range(len(row)):
            together = zip(completions, rewards, strict=True)
            members = [r for other, r in together if other[: t + 1] == row[: t + 1] and not np.isnan(r)]
            expected.append(0.0 if np.isnan(own_reward) else (np.mean(members) - mean) / (std + 1e-6))
        np.testing.assert_allclose(advantages, np.nan_to_num(expected), atol=1e-10)


@settings(derandomize=True, deadline=None)
@given(groups, st.randoms(use_true_random=False))
def test_order_of_rollouts_and_names_of_tokens_do_not_matter(completions, random):
    order = list(range(len(completions)))
    random.shuffle(order)
    new_name = random.sample(range(-(2**40), 2**40), 3)
    renamed = [[new_name[token] for token in completions[i]] for i in order]
    sizes = as_lists(process_set_sizes(completions))
    assert as_lists(process_set_sizes(renamed)) == [sizes[i] for i in order]


def test_duplicates_empties_and_prefixes():
    completions = [[1, 2], [], [1, 2], [1], [], [2]]
    assert as_lists(process_set_sizes(completions)) == [[3, 2], [], [3, 2], [3], [], [1]]
    assert process_set_sizes([]) == []


def test_a_group_of_one_stands_alone():
    assert as_lists(process_set_sizes([[5, 5, 5]])) == [[1, 1, 1]]
    assert as_lists(process_step_advantages([[5, 5, 5]], [0.7])) == [[0.0, 0.0, 0.0]]
    statistics = process_tree_statistics([[5, 5, 5]])
    assert (statistics.is_flat, statistics.mean_path_depth, statistics.intermediate_proportion) == (
        True,
        1,
        0,
    )


def test_statistics_leave_out_empty_completions():
    nothing = process_tree_statistics([[], []])
    assert (nothing.is_flat, nothing.mean_path_depth, nothing.intermediate_proportion) == (True, 0, 0)
    duplicates = process_tree_statistics([[1, 2], [1, 2], []])
    assert (duplicates.is_flat, duplicates.mean_path_depth, duplicates.intermediate_proportion) == (
        False,
        1,
        1,
    )


def test_equal_rewards_have_no_step_advantage():
    steps = process_step_advantages(FIGURE, [0.1] * 6)
    assert all(value == 0 for row in steps for value in row.tolist())


@pytest.mark.parametrize(
    "convert", [np.array, torch.tensor, lambda row: torch.tensor(row, dtype=torch.int32)]
)
def test_lists_arrays_and_tensors_are_the_same(convert):
    sizes = process_set_sizes([convert(row) for row in FIGURE])
    assert as_lists(sizes) == as_lists(process_set_sizes(FIGURE))
    assert all(row.dtype == torch.int64 and row.ndim == 1 for row in sizes)


def test_step_advantages_keep_the_dtype_of_rewards():
    assert process_step_advantages(FIGURE, torch.tensor(FIGURE_REWARDS))[0].dtype == torch.float32
    assert process_step_advantages(FIGURE, FIGURE_REWARDS)[0].dtype == torch.float64
