"""Tasks of reasoning-gym in the words of the embedded policy."""

from itertools import islice

import pytest
import reasoning_gym

from rlvr.errors import UserError
from rlvr.problems.gym import CHUNK, endless_entries, gym_problems


def test_a_task_with_too_few_questions_says_how_many_there_are():
    with pytest.raises(UserError, match=r"50 different problems of gcd asked for, but only \d+ were found"):
        gym_problems("gcd", size=50, held_out=True, seed=1, max_value=5)


def test_no_chunk_repeats_another():
    """Entry k is the first of reasoning-gym's data set of the k-th seed from the first."""
    drawn = [entry["question"] for entry in islice(endless_entries("chain_sum", 2), 3 * CHUNK)]
    assert len(set(drawn)) > 2.9 * CHUNK  # short sums come up twice now and then
    for k in (0, CHUNK, 2 * CHUNK + 5):
        (entry,) = reasoning_gym.create_dataset("chain_sum", size=1, seed=2 * 1_000_003 + k)
        assert drawn[k] == entry["question"]


def test_parameters_that_contradict_each_other_are_one_sentence():
    with pytest.raises(UserError, match="parameters of reasoning-gym's gcd: max_numbers must be >= min_numb"):
        gym_problems("gcd", size=3, held_out=False, seed=1, min_numbers=5)


def test_no_pair_of_a_benchmark_is_trained_on_in_the_other_order():
    def pairs(size: int, *, held_out: bool) -> set[frozenset[str]]:
        problems = gym_problems("gcd", size=size, held_out=held_out, seed=1)
        return {frozenset(problem.prompt[0]["content"].split()[1:]) for problem in problems}

    assert not pairs(48, held_out=True) & pairs(6000, held_out=False)
