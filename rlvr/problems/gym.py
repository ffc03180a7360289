"""Tasks from reasoning-gym's generators, asked in the words of the embedded policy.

The generators draw the problem and know its answer; the question is put shortly ("gcd 12 18"), so that
a policy with a vocabulary of some two hundred words can read it. The split between the warm start and
the benchmarks is by a hash of the question, as for countdown.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.problems.split import first_different, held_out_by_hash

# reasoning-gym task -> (default parameters, how its metadata becomes a question)
TASKS: dict[str, tuple[dict, Callable[[dict], str]]] = {
    "chain_sum": (
        {"min_terms": 3, "max_terms": 4, "min_digits": 1, "max_digits": 1},
        lambda metadata: f"compute {metadata['expression']}",
    ),
    "gcd": (
        {"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 144},
        lambda metadata: f"gcd {' '.join(map(str, metadata['numbers']))}",
    ),
}
CHUNK = 1024  # reasoning-gym data sets are finite: they are drawn chunk by chunk


def solved_gym(task: str, *, held_out: bool, seed: int, **parameters) -> Iterator[tuple[Problem, str]]:
    """An endless stream of (problem, right answer) of a reasoning-gym task, from one side of the split."""
    defaults, ask = TASKS[task]
    for entry in endless_entries(task, seed, **(defaults | parameters)):
        question = ask(entry["metadata"])
        if is_on_side(task, question, held_out=held_out):
            yield (
                Problem(
                    id=f"{task}/{question}",
                    source=task,
                    prompt=({"role": "user", "content": question},),
                    answer=entry["answer"],
                    verifier="integer",
                ),
                entry["answer"],
            )


def is_on_side(task: str, question: str, *, held_out: bool) -> bool:
    """Whether a question is for benchmarks, or for training: `gcd 12 18` not if `gcd 18 12` is held out."""
    if held_out or task != "gcd":
        return held_out_by_hash(question) == held_out
    name, *numbers = question.split()
    return not held_out_by_hash(question) and not held_out_by_hash(" ".join([name, *numbers[::-1]]))


def endless_entries(
    task: str, seed: int, chunk: int = CHUNK, **parameters: object
) -> Iterator[dict[str, Any]]:
    """What reasoning-gym's generator of a task draws, `chunk` after `chunk`.

    Raises:
        UserError: for parameters that are not the task's.
    """
    import reasoning_gym

    # an entry is drawn from the sum of its data set's seed and its place there, so that chunks whose seeds
    # are nearer to each other than a chunk is long would repeat each other
    for start in itertools.count(seed * 1_000_003, chunk):
        try:
            entries = reasoning_gym.create_dataset(task, size=chunk, seed=start, **parameters)
        except (TypeError, AssertionError) as error:
            raise UserError(f"parameters of reasoning-gym's {task}: {error}") from error
        yield from entries


def gym_problems(task: str, *, size: int, held_out: bool, seed: int, **parameters) -> list[Problem]:
    """`size` different problems of a reasoning-gym task."""
    stream = solved_gym(task, held_out=held_out, seed=seed, **parameters)
    return first_different(stream, size, task, "widen its parameters", parameters)
