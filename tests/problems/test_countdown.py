import itertools
import random

import pytest

from rlvr.config import load_config
from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.evaluation.validation import benchmark_problems
from rlvr.policy.policy import Policy
from rlvr.problems import load_problems
from rlvr.problems.countdown import (
    Expression,
    combine,
    countdown_problems,
    random_expression,
    solved_countdowns,
)
from rlvr.verification import verify
from rlvr.verification.arithmetic import parse_expression, verify_expression
from rlvr.warm_start.train import solved_arithmetic


def number(value: int) -> Expression:
    return Expression(str(value), value, 3)


def test_parentheses_are_where_the_meaning_needs_them():
    three_minus_two = combine(number(3), "-", number(2))

    assert combine(number(5), "-", three_minus_two).text == "5-(3-2)"
    assert combine(three_minus_two, "-", number(5)).text == "3-2-5"
    assert combine(number(5), "*", three_minus_two).text == "5*(3-2)"
    assert combine(number(5), "+", three_minus_two).text == "5+3-2"


def test_random_expressions_are_worth_what_they_say():
    rng = random.Random(0)
    for _ in range(300):
        numbers = [rng.randint(1, 12) for _ in range(rng.randint(2, 6))]
        expression = random_expression(numbers, "+-*", rng)
        value, used, _ = parse_expression(expression.text)
        assert (value, used) == (expression.value, numbers)


def test_a_solved_problem_comes_with_a_right_answer():
    for problem, answer in itertools.islice(solved_countdowns(count=(3, 4, 5), held_out=False, seed=1), 300):
        assert verify_expression(problem, answer) is Verdict.CORRECT


def test_training_and_benchmarks_share_no_problem():
    """The split is by a hash of the problem, so it holds whatever the seeds; here is the laptop's."""
    config = load_config()
    training = {problem.id for problem in load_problems(config.data, held_out=False)}
    warm_start = {problem.id for problem, _ in itertools.islice(solved_arithmetic(0), 20_000)}
    tested = {problem.id for problems in benchmark_problems(config).values() for problem in problems}

    assert len(training) == config.data.size
    assert len(tested) == sum(task.size for task in config.benchmark.tasks.values())
    assert not tested & (training | warm_start)


def test_the_order_of_the_numbers_makes_no_other_problem():
    first, second = (
        countdown_problems(size=400, count=3, held_out=held_out, seed=2) for held_out in (True, False)
    )

    assert len({p.id for p in first}) == 400
    assert not {(p.metadata["numbers"], p.answer) for p in first} & {
        (p.metadata["numbers"], p.answer) for p in second
    }


def test_same_seed_same_problems():
    assert countdown_problems(size=20, held_out=True, seed=4) == countdown_problems(
        size=20, held_out=True, seed=4
    )
    assert countdown_problems(size=20, held_out=True, seed=4) != countdown_problems(
        size=20, held_out=True, seed=5
    )


def test_asking_for_more_problems_than_there_are():
    with pytest.raises(UserError, match="ask for fewer"):
        countdown_problems(size=50, count=2, largest=2, held_out=True, seed=0)


def test_the_embedded_tokenizer_reads_every_question_and_answer(frozen_policy: Policy):
    unknown = frozen_policy.tokenizer.unk_token_id
    for problem, answer in itertools.islice(solved_arithmetic(3), 300):
        ids = frozen_policy.tokenizer(answer, add_special_tokens=False)["input_ids"]
        assert unknown not in [*frozen_policy.encode(problem), *ids]
        assert frozen_policy.tokenizer.decode(ids).replace(" ", "") == answer


def test_verification_uses_the_verifier_a_problem_names():
    assert verify([]) is None


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"count": 0}, "accepted are 1 to 12 numbers"),
        ({"count": []}, "accepted are 1 to 12 numbers"),
        ({"count": [3, -1]}, "accepted are 1 to 12 numbers"),
        ({"smallest": 5, "largest": 3}, "from 5 to 3: none"),
        ({"smallest": -3}, "from -3 to 12: accepted are 0 to 999999"),
        ({"largest": 10**6}, "from 1 to 1000000: accepted are 0 to 999999"),
        ({"target_min": 9, "target_max": 3}, "from 9 to 3: none"),
        ({"count": 2, "target_min": 9999, "target_max": 10**4}, "none of 50,000 expressions .* reached one"),
    ],
)
def test_ranges_without_problems_are_a_sentence(parameters: dict, said: str):
    with pytest.raises(UserError, match=said):
        countdown_problems(size=2, held_out=False, seed=0, **parameters)


def test_the_split_does_not_ask_in_which_order_the_operators_are_named():
    def numbers_and_targets(**arguments):
        problems = countdown_problems(count=3, seed=0, **arguments)
        return {(problem.metadata["numbers"], problem.answer) for problem in problems}

    training = numbers_and_targets(size=2500, held_out=False, operators="+-*")
    assert not training & numbers_and_targets(size=300, held_out=True, operators=["*", "+", "-"])
    sums = numbers_and_targets(size=50, held_out=True, operators="+-")
    assert sums == numbers_and_targets(size=50, held_out=True, operators="-+-")
