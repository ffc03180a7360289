"""Tasks of reasoning-gym in the words of the embedded policy."""

import pytest

from rlvr.errors import UserError
from rlvr.problems.gym import gym_problems


def test_a_task_with_too_few_questions_says_how_many_there_are():
    with pytest.raises(UserError, match=r"50 different problems of gcd asked for, but only \d+ were found"):
        gym_problems("gcd", size=50, held_out=True, seed=1, max_value=5)
