import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rlvr.config.hydra_text import hydra_text

parse = OverridesParser.create().parse_override


TEXTS = ["dapo", "my.py:f", "a b", "it's", "it\\'s", "a\\", "'", "", "true", "007", "1e-6", "a=b,c", "é"]
OTHERS = [None, True, False, 3, -0.5, 1e-6, float("inf"), [1, 2], ["a b", "c,d", None]]
NESTED = [[{"a": "b c"}], {"k": {}}]


@pytest.mark.parametrize("value", [*TEXTS, *OTHERS, *NESTED])
def test_a_value_comes_through_hydras_grammar_as_it_is(value):
    assert parse(f"key={hydra_text(value)}").value() == value


def test_numbers_of_numpy_are_numbers():
    """`repr` has 'np.float64(0.0001)' for one."""
    numbers = [np.float64(1e-4), np.float32(0.5), np.int64(3), np.arange(3)[2]]
    assert list(map(hydra_text, numbers)) == ["0.0001", "0.5", "3", "2"]
