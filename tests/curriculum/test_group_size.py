import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.curriculum import inverse_success_group_size
from rlvr.errors import UserError


def test_the_eight_sample_table_by_hand():
    """1/p is 8, 4, 2.67, 2, 1.6, 1.33, 1.14, 1."""
    successes = np.arange(1, 9)
    assert inverse_success_group_size(successes, 8).tolist() == [8, 4, 2, 2, 2, 2, 2, 2]
    assert inverse_success_group_size(successes, 8, minimum=1).tolist() == [8, 4, 2, 2, 1, 1, 1, 1]


def test_rounding_matters_for_three_of_eight_only():
    successes = np.arange(1, 7)
    assert inverse_success_group_size(successes, 8, rounding="up").tolist() == [8, 4, 4, 2, 2, 2]
    assert inverse_success_group_size(successes, 8, rounding="nearest").tolist() == [8, 4, 2, 2, 2, 2]
    # 2.9 is nearer to 4 than to 2 in proportion, 2.8 is not
    assert inverse_success_group_size([10, 10], [29, 28], rounding="nearest").tolist() == [4, 2]


def test_bounds_and_problems_never_solved():
    assert inverse_success_group_size(1, 64) == 8
    assert inverse_success_group_size(1, 64, maximum=64) == 64
    assert inverse_success_group_size([0, 0], [8, 2]).tolist() == [8, 8]
    assert inverse_success_group_size(8, 8) == 2


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 10**6), st.data())
def test_rounded_down_it_is_the_largest_power_of_two_with_at_most_one_expected_success(
    samples: int, data: st.DataObject
):
    successes = data.draw(st.integers(1, samples))
    size = int(inverse_success_group_size(successes, samples, minimum=1, maximum=2**30))
    assert size * successes <= samples < 2 * size * successes
    assert size & (size - 1) == 0


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 16), min_size=1))
def test_elementwise_and_never_larger_for_an_easier_problem(successes: list[int]):
    sizes = inverse_success_group_size(sorted(successes), 16)
    assert sizes.tolist() == [inverse_success_group_size(c, 16) for c in sorted(successes)]
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((9, 8), {}, "9 successes of 8 samples"),
        ((-1, 8), {}, "-1 successes"),
        ((0, 0), {}, "accepted are 1 or more samples"),
        (([1, 9], 8), {}, "9 successes of 8 samples"),
        ((1, 8), {"minimum": 8, "maximum": 2}, "from 8 to 2"),
        ((1, 8), {"rounding": "dwon"}, "did you mean down"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple, options: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        inverse_success_group_size(*arguments, **options)
