r"""Tasks from reasoning-gym in its own words, for language models: the answer goes into a box.

The split between training and benchmarks is by a hash of the question, as for countdown, so the two share no
question whatever the seeds. Only tasks whose answer is one number, or words that can't be put otherwise, are
here: the verdict must not depend on how a right answer is written.
"""

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

from rlvr.data import Problem
from rlvr.errors import UserError, unknown
from rlvr.problems.gym import endless_entries
from rlvr.problems.split import HELD_OUT_SHARE, held_out_by_hash

# reasoning-gym task -> verifier of its answer
TASKS = {
    "aiw": "math",
    "basic_arithmetic": "math",
    "chain_sum": "math",
    "gsm_symbolic": "math",
    "lcm": "math",
    "leg_counting": "math",
    "simple_equations": "math",
    "letter_counting": "math",
    "number_sequence": "math",
    "family_relationships": "words",
    "spell_backward": "words",
    "syllogism": "words",
}


def worded_gym_problems(
    *, task: str, size: int | None, held_out: bool, seed: int, **parameters: object
) -> list[Problem]:
    """`size` different problems of a reasoning-gym task from one side of the split.

    Args:
        task: one of `TASKS`.
        parameters: reasoning-gym's own of that task (`max_digits`, ...).

    Raises:
        UserError: for an unknown task or parameter, or when the task has too few different questions.
    """
    if task not in TASKS:
        raise unknown("reasoning-gym task", task, TASKS)
    if size is None:
        raise UserError(f"{task} is generated without end: give a size")
    problems: dict[str, Problem] = {}
    chunk = 2 * HELD_OUT_SHARE * size if held_out else 2 * size  # about twice what is needed
    for entry in itertools.islice(endless_entries(task, seed, chunk, **parameters), 8 * chunk):
        if held_out_by_hash(question_of(entry)) == held_out:
            problem = problem_of(task, entry)
            problems.setdefault(problem.id, problem)
        if len(problems) == size:
            return list(problems.values())
    raise UserError(
        f"{size} different problems of {task} asked for, but {len(problems)} were found: ask for fewer"
    )


def worked_sums(*, held_out: bool, seed: int, **parameters: object) -> Iterator[tuple[Problem, str]]:
    r"""An endless stream of (problem, worked answer) of chain_sum, from one side of the split.

    The answer to 12 + 7 - 5 is "12 + 7 = 19, 19 - 5 = 14. The answer is \boxed{14}."
    """
    for entry in endless_entries("chain_sum", seed, **parameters):
        if held_out_by_hash(question_of(entry)) == held_out:
            yield problem_of("chain_sum", entry), worked(entry["metadata"]["expression"])


def worked(expression: str) -> str:
    """A sum of whole numbers term by term, and its value in a box."""
    first, *rest = expression.split()
    value, steps = int(first), []
    for operator, term in zip(rest[::2], rest[1::2], strict=True):
        before, value = value, value + int(operator + term)
        steps.append(f"{before} {operator} {term} = {value}")
    return f"{', '.join(steps)}. The answer is \\boxed{{{value}}}."


def question_of(entry: dict[str, Any]) -> str:
    return entry["question"].strip()


def problem_of(task: str, entry: dict[str, Any]) -> Problem:
    question = question_of(entry)
    digest = hashlib.blake2b(question.encode(), digest_size=8).hexdigest()
    return Problem(
        id=f"reasoning_gym/{task}/{digest}",
        source=f"reasoning_gym/{task}",
        prompt=({"role": "user", "content": question},),
        answer=entry["answer"],
        verifier=TASKS[task],
    )
