"""Countdown: combine all given numbers, each once, into an expression that equals a target.

A problem has many right answers, from obvious to rare, which is what forgetting is about. Every
problem falls on one side of a fixed split by a hash of its numbers, target and operators, so that no
training or warm-start problem can appear in a benchmark, whatever the seeds and sizes.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add, mul, sub

from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.problems.split import first_different, held_out_by_hash

OPERATIONS = {"+": add, "-": sub, "*": mul}
OPERATORS = tuple(OPERATIONS)
MOST_NUMBERS = 12
LARGEST = 999_999  # that `verification.arithmetic` reads; it knows no sign of a number either
DRAWS = 50_000


@dataclass(frozen=True, slots=True)
class Expression:
    """An arithmetic expression, its value, and how tightly its outermost operator binds."""

    text: str
    value: int
    precedence: int  # 3: a number, 2: a product, 1: a sum or difference


def combine(left: Expression, operator: str, right: Expression) -> Expression:
    """Join two expressions with the fewest parentheses that keep the meaning."""
    precedence = 2 if operator == "*" else 1
    left_text = f"({left.text})" if left.precedence < precedence else left.text
    bracket_right = right.precedence < precedence or (operator == "-" and right.precedence == 1)
    right_text = f"({right.text})" if bracket_right else right.text
    value = OPERATIONS[operator](left.value, right.value)
    return Expression(f"{left_text}{operator}{right_text}", value, precedence)


def random_expression(numbers: Sequence[int], operators: Sequence[str], rng: random.Random) -> Expression:
    """A random binary tree over the numbers in their given order."""
    if len(numbers) == 1:
        return Expression(str(numbers[0]), numbers[0], 3)
    cut = rng.randrange(1, len(numbers))
    left = random_expression(numbers[:cut], operators, rng)
    right = random_expression(numbers[cut:], operators, rng)
    return combine(left, rng.choice(operators), right)


def _key(numbers: Sequence[int], target: int, operators: Sequence[str]) -> str:
    """What makes a problem another one; the order of the numbers plays no part."""
    return f"{'-'.join(map(str, sorted(numbers)))}={target}[{''.join(operators)}]"


def solved_countdowns(
    *,
    count: int | Sequence[int] = 4,
    smallest: int = 1,
    largest: int = 12,
    target_min: int = 0,
    target_max: int = 60,
    operators: Sequence[str] = OPERATORS,
    held_out: bool,
    seed: int | str,
) -> Iterator[tuple[Problem, str]]:
    """An endless stream of (problem, one right answer) from one side of the split.

    A problem is drawn by drawing an expression and asking for its value, so it always has an answer,
    and targets that many expressions reach are asked for more often.

    Args:
        count: how many numbers, or several counts to draw from evenly.
        smallest, largest: range of the numbers, both included.
        target_min, target_max: range of the target, both included.
        operators: a subset of "+", "-", "*", in any order.
        held_out: True for the benchmarks' side, False for training and the warm start.
        seed: the same seed gives the same stream.

    Raises:
        UserError: an empty range, or targets that DRAWS expressions in a row do not reach.
    """
    if not operators or not set(operators) <= set(OPERATORS):
        raise UserError(f"countdown operators {list(operators)}: accepted are some of {', '.join(OPERATORS)}")
    counts = [count] if isinstance(count, int) else list(count)
    if not counts or not all(1 <= one <= MOST_NUMBERS for one in counts):
        raise UserError(f"countdown count={count}: accepted are 1 to {MOST_NUMBERS} numbers")
    for low, high in ((smallest, largest), (target_min, target_max)):
        if low > high:
            raise UserError(f"countdown numbers or targets from {low} to {high}: none is in that range")
    operators = [operator for operator in OPERATORS if operator in operators]  # the split is by their names
    if smallest < 0 or largest > LARGEST:
        raise UserError(
            f"countdown numbers from {smallest} to {largest}: accepted are 0 to {LARGEST}, as in answers"
        )
    rng = random.Random(f"countdown/{seed}")
    missed = 0
    while missed < DRAWS:
        missed += 1
        numbers = [rng.randint(smallest, largest) for _ in range(rng.choice(counts))]
        expression = random_expression(numbers, operators, rng)
        if not target_min <= expression.value <= target_max:
            continue
        if held_out_by_hash(_key(numbers, expression.value, operators)) != held_out:
            continue
        missed = 0
        rng.shuffle(numbers)
        yield countdown_problem(numbers, expression.value, operators), expression.text
    raise UserError(
        f"countdown targets from {target_min} to {target_max}: none of {DRAWS:,} expressions of {count} "
        f"numbers from {smallest} to {largest} reached one; widen the range of numbers or targets"
    )


def countdown_problem(numbers: Sequence[int], target: int, operators: Sequence[str] = OPERATORS) -> Problem:
    """The problem of reaching `target` with all `numbers`."""
    question = f"make {target} from {' '.join(map(str, numbers))} with {' '.join(operators)}"
    return Problem(
        id=f"countdown/{_key(numbers, target, operators)}",
        source="countdown",
        prompt=({"role": "user", "content": question},),
        answer=str(target),
        verifier="expression",
        metadata={"numbers": tuple(sorted(numbers)), "operators": tuple(operators)},
    )


def countdown_problems(*, size: int, held_out: bool, seed: int | str, **parameters) -> list[Problem]:
    """`size` different countdown problems; the parameters are those of `solved_countdowns`."""
    stream = solved_countdowns(held_out=held_out, seed=seed, **parameters)
    return first_different(stream, size, "countdown", "widen the range of numbers or targets", parameters)
