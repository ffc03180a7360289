"""Mazes are what they are said to be, and are read and judged as written by hand."""

import itertools
import random
from collections import Counter, deque

import pytest

from rlvr.config import load_config
from rlvr.data import Problem, Verdict
from rlvr.errors import UserError
from rlvr.problems import ids_of, load_problems
from rlvr.problems.cleaning import overlap
from rlvr.problems.maze import grid_of, maze_problem, maze_problems, prim, solved_mazes, way_to_goal
from rlvr.verification.maze import verify_maze_path, verify_maze_walk
from rlvr.warm_start.tokenizers import maze_tokenizer

HAND = (  # one way: RIGHT RIGHT DOWN DOWN; the cell below the start is a dead end
    "#####",
    "#S..#",
    "#.#.#",
    "#.#G#",
    "#####",
)
WAY = "RIGHT RIGHT DOWN DOWN DONE"


def breadth_first(rows: tuple[str, ...]) -> dict[tuple[int, int], list[str]]:
    """A shortest walk from the start to every square that can be reached."""
    steps = {"UP": (-1, 0), "DOWN": (1, 0), "LEFT": (0, -1), "RIGHT": (0, 1)}
    (start,) = [(r, c) for r, row in enumerate(rows) for c, square in enumerate(row) if square == "S"]
    walks: dict[tuple[int, int], list[str]] = {start: []}
    queue = deque([start])
    while queue:
        r, c = queue.popleft()
        for name, (down, right) in steps.items():
            there = (r + down, c + right)
            if rows[there[0]][there[1]] != "#" and there not in walks:
                walks[there] = [*walks[r, c], name]
                queue.append(there)
    return walks


@pytest.mark.parametrize("side", [5, 9, 11, 17])
def test_a_maze_is_a_spanning_tree_of_its_cells(side: int):
    for problem in maze_problems(size=20, held_out=side > 5, seed=3, side=side):
        rows = problem.metadata["rows"]
        assert len(rows) == side and all(len(row) == side for row in rows)
        border = [rows[0], rows[-1], *((row[0] + row[-1]) for row in rows)]
        assert set("".join(border)) == {"#"}
        open_squares = {(r, c) for r in range(side) for c in range(side) if rows[r][c] != "#"}
        cells = {(r, c) for r in range(1, side, 2) for c in range(1, side, 2)}
        passages = open_squares - cells
        assert cells <= open_squares
        assert all((r + c) % 2 == 1 for r, c in passages)  # between two cells, never where four walls meet
        # connected, with one passage fewer than cells: a spanning tree
        assert breadth_first(rows).keys() == open_squares
        assert len(passages) == len(cells) - 1


@pytest.mark.parametrize("side", [9, 17])
def test_the_answer_is_the_way_that_an_independent_search_finds(side: int):
    for problem in maze_problems(size=40, held_out=False, seed=5, side=side):
        way = breadth_first(problem.metadata["rows"])[side - 2, side - 2]
        assert problem.answer == " ".join([*way, "DONE"])
        assert verify_maze_path(problem, problem.answer) is Verdict.CORRECT
        assert verify_maze_walk(problem, problem.answer) is Verdict.CORRECT


def test_prim_joins_the_small_maze_in_all_ways_with_its_probabilities():
    """Start A, right of it B, below it C, goal D. B and C are joined first with 1/2 each; say B. Then C (1/2,
    to A), and D to B or C (1/2 each); or D (1/2, to B), and C to A or D (1/2 each). So with B first, C-D is
    missing in 1/8 + 1/8, B-D in 1/8 and A-C in 1/8; with C first the same mirrored. In all: a passage at the
    goal is missing with 3/8 each, one at the start with 1/8 each."""
    rng = random.Random(0)
    counts = Counter(grid_of(5, prim(5, rng)) for _ in range(8000))
    at_start = {rows: (rows[1][2] == "#") + (rows[2][1] == "#") for rows in counts}
    assert len(counts) == 4
    for rows, count in counts.items():
        assert count / 8000 == pytest.approx(1 / 8 if at_start[rows] else 3 / 8, abs=0.02)


def test_the_prompt_of_a_maze_written_by_hand():
    (pad, bos, eos, _, grid_start, grid_end, path_start, done, path, wall, goal, start, newline) = range(13)
    up, down, left, right = range(13, 17)
    tokenizer = maze_tokenizer()
    problem = maze_problem("hand", HAND, WAY.split()[:-1])
    prompt = tokenizer.apply_chat_template(
        list(problem.prompt), add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert prompt == [
        *(bos, grid_start),
        *(wall, wall, wall, wall, wall, newline),
        *(wall, start, path, path, wall, newline),
        *(wall, path, wall, path, wall, newline),
        *(wall, path, wall, goal, wall, newline),
        *(wall, wall, wall, wall, wall, newline),
        *(grid_end, path_start),
    ]
    moves = tokenizer("UP DOWN LEFT RIGHT DONE", add_special_tokens=False)["input_ids"]
    assert moves == [up, down, left, right, done]
    assert tokenizer.decode([*moves, eos, pad], skip_special_tokens=True) == "UP DOWN LEFT RIGHT DONE"
    assert len(tokenizer) == 32


def judged(text: str) -> tuple[Verdict, Verdict]:
    problem = maze_problem("hand", HAND, WAY.split()[:-1])
    return verify_maze_path(problem, text), verify_maze_walk(problem, text)


RIGHT, WRONG, NOTHING = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER


@pytest.mark.parametrize(
    ("text", "path", "walk"),
    [
        (WAY, RIGHT, RIGHT),
        ("DOWN UP RIGHT RIGHT DOWN DOWN DONE", WRONG, RIGHT),  # a look into the dead end
        ("RIGHT LEFT RIGHT RIGHT DOWN DOWN DONE", WRONG, RIGHT),
        ("RIGHT RIGHT DOWN DOWN UP DONE", WRONG, RIGHT),  # on from the goal: not walked any more
        ("RIGHT RIGHT DOWN DONE", WRONG, WRONG),  # stops a square before the goal
        ("RIGHT DOWN DONE", WRONG, WRONG),  # into a wall
        ("UP RIGHT RIGHT DOWN DOWN DONE", WRONG, WRONG),  # into the border, then as if nothing were
        ("DONE", WRONG, WRONG),
        ("RIGHT RIGHT DOWN DOWN", NOTHING, NOTHING),  # never says that it is done
        ("RIGHT RIGHT DOWN PATH DOWN DONE", NOTHING, NOTHING),  # not a move
        ("", NOTHING, NOTHING),
        (f"{WAY} DONE UP", RIGHT, RIGHT),  # what follows DONE is not read
    ],
)
def test_both_rewards_by_hand(text: str, path: Verdict, walk: Verdict):
    assert judged(text) == (path, walk)


def test_a_maze_is_on_one_side_of_the_split():
    training = maze_problems(size=1500, held_out=False, seed=0, side=7)
    warm = [
        problem for problem, _ in itertools.islice(solved_mazes(side=7, held_out=False, seed="warm"), 500)
    ]
    tested = maze_problems(size=500, held_out=True, seed=1, side=7)

    def grids(problems: list[Problem]) -> set[tuple[str, ...]]:
        return {problem.metadata["rows"] for problem in problems}

    # most of the 192 mazes of side 7 are drawn, so a split that leaked would be seen
    assert len(grids(list(training)) | grids(list(tested))) > 150
    assert not grids(list(tested)) & grids([*training, *warm])


def test_mazes_are_drawn_when_asked_for_and_always_the_same():
    million = maze_problems(size=1_000_000, held_out=False, seed=0)
    assert len(million) == len(set(ids_of(million))) == 1_000_000
    again = maze_problems(size=1_000_000, held_out=False, seed=0)
    assert million[123_456] == again[123_456]
    assert million[123_456].id == ids_of(million)[123_456]
    assert million[0].metadata != million[1].metadata
    assert million[2:4][1] == million[3]
    assert overlap(million, {"tested": list(maze_problems(size=2, held_out=True, seed=1))}) == {}  # at once
    assert maze_problems(size=3, held_out=False, seed=1)[0].metadata != million[0].metadata


@pytest.mark.parametrize("data", ["maze_9", "maze_17"])
def test_benchmarks_hold_no_maze_twice(data: str):
    config = load_config([f"benchmark={data}"])
    problems = load_problems(config.benchmark.tasks[data], held_out=True)
    assert len({problem.metadata["rows"] for problem in problems}) == len(problems)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"side": 8}, r"side=8: accepted are odd numbers from 5; try side=9"),
        ({"side": 3}, r"side=3: .* try side=5"),
        (
            {"reward": "wlak"},
            r"unknown reward of a maze 'wlak': accepted are path, walk; did you mean walk\?",
        ),
        ({"size": None}, r"size=1000"),
    ],
)
def test_wrong_parameters_are_one_sentence(parameters: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        maze_problems(**{"size": 4, "held_out": False, "seed": 0} | parameters)


def test_the_way_follows_the_tree_by_hand():
    """The lower left cell was joined to the start, the goal to it: down, then right."""
    joined_to = {(1, 1): (1, 1), (3, 1): (1, 1), (3, 3): (3, 1), (1, 3): (1, 1)}
    assert way_to_goal(5, joined_to) == ["DOWN", "DOWN", "RIGHT", "RIGHT"]
    assert grid_of(5, joined_to) == ("#####", "#S..#", "#.###", "#..G#", "#####")
