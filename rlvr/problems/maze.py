"""Mazes: the way from the upper left cell to the lower right one (F-GRPO, §5.2; MaxRL, arXiv 2602.02710).

Cells stand on the odd rows and columns of a square grid, with walls between them. Randomised Prim joins
them into a spanning tree, so exactly one way without a step back leads to the goal: a problem has a single
target sequence. The questions and answers are written in the 32 words of MaxRL's vocabulary.

Two rewards are on offer, since the papers differ. `path`, the default: only the target sequence is right,
as F-GRPO describes its mazes. `walk`: any walk that reaches the goal is right, detours too, as MaxRL's
published code judges.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import cache, partial

from rlvr.data import Problem
from rlvr.errors import UserError, unknown
from rlvr.problems.lazy import LazyProblems
from rlvr.problems.split import held_out_by_hash
from rlvr.verification.maze import DONE, GOAL, MOVES, PATH, START, WALL, Square

WORDS = {WALL: "WALL", PATH: "PATH", START: "START", GOAL: "GOAL"}
REWARDS = {"path": "maze_path", "walk": "maze_walk"}  # the verifier of each
MAX_DRAWS = 10_000  # in search of a maze on one side of the split


@cache
def neighbours(side: int) -> dict[Square, list[Square]]:
    """The cells next to each cell, two squares away."""
    cells = set(itertools.product(range(1, side, 2), repeat=2))
    steps = [(2 * down, 2 * right) for down, right in MOVES.values()]
    return {
        (row, column): [cell for down, right in steps if (cell := (row + down, column + right)) in cells]
        for row, column in cells
    }


def prim(side: int, rng: random.Random) -> dict[Square, Square]:
    """The cell that each cell was joined to, from the upper left one, which is joined to itself.

    Each time, one of the cells next to the maze is drawn evenly, and joined to one of its neighbours in
    the maze, drawn evenly too.
    """
    next_to = neighbours(side)
    start = (1, 1)
    joined_to = {start: start}
    frontier = list(next_to[start])
    seen = {start, *frontier}
    while frontier:
        index = rng.randrange(len(frontier))
        frontier[index], frontier[-1] = frontier[-1], frontier[index]
        cell = frontier.pop()
        joined_to[cell] = rng.choice([other for other in next_to[cell] if other in joined_to])
        fresh = [other for other in next_to[cell] if other not in seen]
        frontier += fresh
        seen.update(fresh)
    return joined_to


def grid_of(side: int, joined_to: dict[Square, Square]) -> tuple[str, ...]:
    """The rows of the grid: WALL, PATH, START and GOAL."""
    rows = [[WALL] * side for _ in range(side)]
    for (row, column), (other_row, other_column) in joined_to.items():
        rows[row][column] = PATH
        rows[(row + other_row) // 2][(column + other_column) // 2] = PATH
    rows[1][1], rows[side - 2][side - 2] = START, GOAL
    return tuple("".join(row) for row in rows)


def way_to_goal(side: int, joined_to: dict[Square, Square]) -> list[str]:
    """The moves from start to goal without a step back, two for each cell: the one way there is."""
    names = {step: name for name, step in MOVES.items()}
    moves: list[str] = []
    cell = (side - 2, side - 2)
    while cell != (1, 1):
        before = joined_to[cell]
        name = names[(cell[0] - before[0]) // 2, (cell[1] - before[1]) // 2]
        moves += [name, name]
        cell = before
    return moves[::-1]


def question(rows: Sequence[str]) -> str:
    """The grid in words, row by row."""
    words = [" ".join([*(WORDS[square] for square in row), "NEWLINE"]) for row in rows]
    return f"GRID_START {' '.join(words)} GRID_END"


def maze_problem(id: str, rows: Sequence[str], moves: Sequence[str], reward: str = "path") -> Problem:
    """The problem of a grid whose way to the goal is `moves`."""
    return Problem(
        id=id,
        source="maze",
        prompt=({"role": "user", "content": question(rows)},),
        answer=" ".join([*moves, DONE]),
        verifier=REWARDS[reward],
        metadata={"rows": tuple(rows)},
    )


def draw_maze(id: str, *, side: int, reward: str, held_out: bool) -> Problem:
    """The problem of an id: the first maze on the wanted side of the split, of a stream seeded by the id."""
    rng = random.Random(id)
    for _ in range(MAX_DRAWS):
        joined_to = prim(side, rng)
        rows = grid_of(side, joined_to)
        if held_out_by_hash("\n".join(rows)) == held_out:
            return maze_problem(id, rows, way_to_goal(side, joined_to), reward)
    share = "for the benchmarks" if held_out else "for training"
    raise UserError(f"side={side}: the split leaves no maze so small {share}; try side={side + 2}")


def maze_problems(
    *, size: int | None, held_out: bool, seed: int | str, side: int = 17, reward: str = "path"
) -> LazyProblems:
    """`size` mazes, each drawn when it is asked for, and anew for every place in the data set.

    Two places may so hold the same maze, as in the paper's data: never at side 17, which has some 10^26
    of them, and rarely at side 9, which has 100,352. No maze is on both sides of the split.

    Args:
        size: how many; there is no end of them, so None is refused.
        held_out: True for the benchmarks' side of the split, False for training and the warm start.
        seed: the same seed gives the same mazes.
        side: squares in a row of the grid, walls included: odd, and at least 5.
        reward: "path" or "walk", see the module.

    Raises:
        UserError: for a size, side or reward that is not accepted.
    """
    if size is None:
        raise UserError("mazes without a size: accepted is a number of problems, as in size=1000")
    if side < 5 or side % 2 == 0:
        raise UserError(f"side={side}: accepted are odd numbers from 5; try side={max(5, side | 1)}")
    if reward not in REWARDS:
        raise unknown("reward of a maze", reward, REWARDS)
    share = "held-out" if held_out else "training"
    ids = [f"maze/{side}/{share}/{seed}/{index}" for index in range(size)]
    return LazyProblems(ids, partial(draw_maze, side=side, reward=reward, held_out=held_out))


def solved_mazes(*, side: int = 17, held_out: bool, seed: int | str) -> Iterator[tuple[Problem, str]]:
    """An endless stream of (problem, right answer) from one side of the split."""
    for index in itertools.count():
        problem = draw_maze(f"maze/{side}/solved/{seed}/{index}", side=side, reward="path", held_out=held_out)
        yield problem, problem.answer
