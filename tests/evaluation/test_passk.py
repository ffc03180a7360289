import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.errors import UserError
from rlvr.evaluation import counts, pass_at_k


@st.composite
def n_c_k(draw):
    n = draw(st.integers(1, 2048))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@settings(derandomize=True, deadline=None)
@given(n_c_k())
def test_equals_the_exact_fraction(counted):
    n, c, k = counted
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-13)


def test_is_the_share_of_subsets_with_a_correct_sample():
    samples = [True, True, False, False, False]
    for k in range(1, 6):
        subsets = list(combinations(samples, k))
        assert pass_at_k(5, 2, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_hand_computed():
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)
    assert pass_at_k(8, 4, 2) == pytest.approx(11 / 14)


def test_the_ends_are_exact():
    assert pass_at_k(2048, 0, 2048) == 0.0
    assert pass_at_k(2048, 1, 2048) == 1.0
    assert pass_at_k(2048, 2047, 2) == 1.0
    assert pass_at_k(5, 3, 3) == 1.0


def test_scalars_give_a_float_and_arrays_broadcast():
    assert isinstance(pass_at_k(4, 2, 2), float)
    table = pass_at_k(np.array([[4], [8]]), np.array([[2], [4]]), [1, 2])
    np.testing.assert_allclose(table, [[1 / 2, 5 / 6], [1 / 2, 11 / 14]])
    assert pass_at_k([], [], 1).shape == (0,)


@pytest.mark.parametrize(
    ("n", "c", "k", "said"),
    [
        (4, 5, 1, "n=4, c=5, k=1: accepted are whole numbers, 0 <= c <= n, nearest c=4"),
        (4, -1, 1, "nearest c=0"),
        (4, 2, 5, "1 <= k <= n, nearest k=4"),
        (4, 2, 0, "nearest k=1"),
        (0, 0, 1, "so n >= 1"),
        (4, 1.5, 1, "c=1.5"),
        (4, math.nan, 1, "c=nan"),
        ([4, 4], [1, 7], [[1], [2]], "n=4, c=7, k=1"),
    ],
)
def test_refuses_what_has_no_meaning(n, c, k, said):
    with pytest.raises(UserError, match=said.replace("+", r"\+")):
        pass_at_k(n, c, k)


def samples_of(**verdicts: str) -> pd.DataFrame:
    rows = [(problem, verdict) for problem, list_ in verdicts.items() for verdict in list_.split()]
    return pd.DataFrame(rows, columns=["problem_id", "verdict"])


def test_counts_judge_truncated_wrong_and_leave_out_unscorable():
    samples = samples_of(
        b="correct truncated timeout correct no_answer",
        a="wrong error reference_unparsable timeout timeout",
        c="error",
    )
    result = counts(samples.sample(frac=1, random_state=0))
    assert result.to_dict("index") == {
        "a": {"n": 1, "c": 0, "error": 1, "reference_unparsable": 1, "timeout": 2},
        "b": {"n": 4, "c": 2, "error": 0, "reference_unparsable": 0, "timeout": 1},
        "c": {"n": 0, "c": 0, "error": 1, "reference_unparsable": 0, "timeout": 0},
    }
    assert list(result.index) == ["a", "b", "c"]


def test_counts_of_a_file_are_those_of_its_frame(tmp_path):
    samples = samples_of(a="correct wrong", b="wrong timeout").assign(text="x")
    samples.to_parquet(tmp_path / "samples.parquet")
    pd.testing.assert_frame_equal(counts(tmp_path / "samples.parquet"), counts(samples))


def test_counts_refuse_a_verdict_they_do_not_know():
    with pytest.raises(UserError, match=r"'corect'.*did you mean correct"):
        counts(samples_of(a="corect"))
