r"""Suites that need no hub: reasoning-gym in its own words, and CHAMP."""

import importlib.metadata
import importlib.util

import pytest

from rlvr.config import load_config
from rlvr.data import Completion, Group, Verdict
from rlvr.errors import UserError
from rlvr.problems import load_problems
from rlvr.problems.champ import champ_problems, comparable_answer
from rlvr.problems.gym_words import TASKS, worded_gym_problems
from rlvr.problems.split import held_out_by_hash
from rlvr.verification import verify
from rlvr.verification.pool import VerifierPool
from rlvr.verification.references import check_references

needs_champ = pytest.mark.skipif(
    importlib.util.find_spec("champ_dataset") is None, reason="pip install --no-deps champ-dataset"
)


def verdicts(problems, texts: list[str]) -> list[Verdict]:
    """Of one completion a problem."""
    groups = [
        Group(p, [], [Completion([], [], text, "stop", 0)]) for p, text in zip(problems, texts, strict=True)
    ]
    verify(groups)
    return [group.verdicts[0] for group in groups]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_accepts_its_own_answers_and_no_others(task: str):
    problems = worded_gym_problems(task=task, size=12, held_out=True, seed=1)
    boxed = [rf"So it is $\boxed{{{problem.answer}}}$." for problem in problems]
    assert verdicts(problems, boxed) == [Verdict.CORRECT] * 12
    other = "Perhaps" if TASKS[task] == "words" else "123456789"
    assert verdicts(problems, [rf"\boxed{{{other}}}"] * 12) == [Verdict.WRONG] * 12
    assert verdicts(problems, [problem.answer for problem in problems]) == [Verdict.NO_ANSWER] * 12


def test_the_two_sides_share_no_question():
    sides = [
        worded_gym_problems(task="lcm", size=200, held_out=side, seed=seed)
        for side in (True, False)
        for seed in (1, 2)
    ]
    held_out, training = ({p.id for side in pair for p in side} for pair in (sides[:2], sides[2:]))
    assert not held_out & training
    assert all(held_out_by_hash(p.prompt[0]["content"]) for p in sides[0])


def test_what_the_first_draws_lack_further_ones_find():
    """Of the 200 sums of two digits, some 175 are for training; 300 draws find three quarters of them."""
    digits = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    problems = worded_gym_problems(task="chain_sum", size=150, held_out=False, seed=1, **digits)
    assert len({problem.id for problem in problems}) == 150


def test_same_seed_same_problems():
    def draw(seed: int) -> list:
        return worded_gym_problems(task="gsm_symbolic", size=20, held_out=False, seed=seed)

    assert draw(3) == draw(3) != draw(4)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"task": "gsm_symbolik"}, r"unknown reasoning-gym task 'gsm_symbolik'.*did you mean gsm_symbolic\?"),
        ({"task": "lcm", "max_nubmers": 2}, "parameters of reasoning-gym's lcm: .*max_nubmers"),
        ({"task": "lcm", "size": None}, "give a size"),
        (
            {"task": "chain_sum", "min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
            "ask for fewer",
        ),
    ],
)
def test_bad_parameters_are_one_sentence(parameters: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        worded_gym_problems(**{"size": 300, "held_out": True, "seed": 0} | parameters)


@pytest.mark.parametrize(
    ("printed", "comparable"),
    [
        ("239", "239"),
        ("C(10, 5), or equivalently 252", r"\binom{10}{5}"),
        ("5/14, or approximately 35.7%", "5/14"),
        ("2^(n-1)", "2^{n-1}"),
        ("2^floor(n/2)*floor(n/2)!", r"2^{\lfloor n/2 \rfloor}\cdot {\lfloor n/2 \rfloor}!"),
        ("The limit exists and is equal to (1+sqrt(4a+1))/2", r"(1+\sqrt{4a+1})/2"),
        ("0 is the only possible value", "0"),
        ("100 (i.e., all values)", "100"),
        ("98 values", "98"),
        ("x=±1", r"x=\pm 1"),
        ("x=16 and x=81", "x=16, x=81"),
        ("Yes", "Yes"),
        ("No integer solutions", None),
        ("The sequence is not periodic", None),
        ("Always greater than 20", None),
        ("x(x-1)(x-2)...(x-2022)", None),
    ],
)
def test_answers_for_readers_become_answers_for_programs(printed: str, comparable: str | None):
    assert comparable_answer(printed) == comparable


@needs_champ
def test_champ_has_231_problems_that_accept_their_own_answers():
    problems = champ_problems(size=None, held_out=True, seed=0)
    boxed = [rf"\boxed{{{problem.answer}}}" for problem in problems]
    assert len(problems) == len({problem.id for problem in problems}) == 231
    assert set(verdicts(problems, boxed)) == {Verdict.CORRECT}
    with pytest.raises(UserError, match="give size=231"):
        champ_problems(size=232, held_out=True, seed=0)


@needs_champ
def test_champ_references_can_all_be_judged():
    references = [problem.answer for problem in champ_problems(size=None, held_out=True, seed=0)]
    with VerifierPool(2, deadline_seconds=60) as pool:
        assert check_references(references, pool) == []


def test_without_its_package_champ_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.files", absent)
    with pytest.raises(UserError, match="pip install --no-deps champ-dataset"):
        champ_problems(size=1, held_out=True, seed=0)


@pytest.mark.parametrize("suite", ["math_offline", "ood_offline"])
def test_suites_load_without_a_hub(suite: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.problems.location.reachable", lambda address=None: False)
    tasks = load_config([f"benchmark={suite}"]).benchmark.tasks
    for name, task in tasks.items():
        if name != "champ":
            assert len(load_problems(task, held_out=True)) == task.size
    assert len(tasks) == {"math_offline": 5, "ood_offline": 3}[suite]
