import pytest
import reasoning_gym

from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.problems.countdown import countdown_problem
from rlvr.problems.gym import TASKS, gym_problems, solved_gym
from rlvr.verification import verify
from rlvr.verification.arithmetic import NotAnExpression, parse_expression, verify_expression, verify_integer

PROBLEM = countdown_problem([2, 3, 4, 4], 24)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("(4+4)*(3-2)+16", Verdict.WRONG),  # a number that was not given
        ("4*(3+2)+4", Verdict.CORRECT),
        (" 4 * (3 + 2) + 4 ", Verdict.CORRECT),
        ("4*(4+2)", Verdict.WRONG),  # 3 is missing
        ("4*3*2", Verdict.WRONG),
        ("4+4*3*2", Verdict.WRONG),
        ("24", Verdict.WRONG),
        ("", Verdict.NO_ANSWER),
        ("4*(3+2)+4=24", Verdict.NO_ANSWER),
        ("4*(3+2+4", Verdict.NO_ANSWER),
        ("-4+3", Verdict.NO_ANSWER),
        ("4**3", Verdict.NO_ANSWER),
        ("__import__('os').system('true')", Verdict.NO_ANSWER),
        ("9" * 10_000, Verdict.NO_ANSWER),
        ("(" * 100_000, Verdict.NO_ANSWER),
        ("9*" * 5_000 + "9", Verdict.NO_ANSWER),
        ("٣+4", Verdict.NO_ANSWER),  # digits of another script are no answer here
    ],
)
def test_countdown_answers(text: str, verdict: Verdict):
    assert verify_expression(PROBLEM, text) is verdict


def test_an_operator_that_was_not_offered_is_wrong():
    problem = countdown_problem([2, 3], 6, "+-")
    assert verify_expression(problem, "2*3") is Verdict.WRONG


def test_precedence():
    assert parse_expression("2+3*4-(1-5)*2") == (22, [2, 3, 4, 1, 5, 2], {"+", "-", "*"})
    with pytest.raises(NotAnExpression):
        parse_expression("2+")


@pytest.mark.parametrize(
    ("text", "verdict"), [("-19", "correct"), ("- 19", "correct"), ("19", "wrong"), ("-19.", "no_answer")]
)
def test_integer_answers(text: str, verdict: str):
    problem = Problem("p", "chain_sum", (), "-19", "integer")
    assert verify_integer(problem, text) == verdict


@pytest.mark.parametrize("task", sorted(TASKS))
def test_integers_are_judged_as_reasoning_gym_does(task: str):
    scorer = reasoning_gym.create_dataset(task, size=1, seed=0)
    stream = solved_gym(task, held_out=True, seed=7)
    for problem, answer in (next(stream) for _ in range(50)):
        for text in (answer, str(int(answer) + 1), f"{answer}0"):
            entry = {"answer": answer, "metadata": {}}
            assert (scorer.score_answer(text, entry) == 1.0) == (
                verify_integer(problem, text) is Verdict.CORRECT
            )


def test_gym_problems_are_different_and_repeatable():
    problems = gym_problems("gcd", size=40, held_out=True, seed=1)
    assert len({problem.id for problem in problems}) == 40
    assert problems == gym_problems("gcd", size=40, held_out=True, seed=1)


def test_a_cut_completion_is_truncated_whatever_it_says():
    right = Completion([1], [0.0], "4*(3+2)+4", "length", 0)
    group = Group(PROBLEM, [], [right, Completion([1], [0.0], "4*(3+2)+4", "stop", 0)])
    verify([group])
    assert group.verdicts == [Verdict.TRUNCATED, Verdict.CORRECT]


def test_a_reference_that_cannot_be_parsed_is_nobodys_fault():
    """Such rollouts have no reward and are counted; they are never a silent 0."""
    broken = Problem("p", "countdown", (), "twenty", "expression", {"numbers": (2, 3), "operators": ("+",)})
    assert verify_expression(broken, "2+3") is Verdict.REFERENCE_UNPARSABLE
    assert verify_integer(broken, "5") is Verdict.REFERENCE_UNPARSABLE
