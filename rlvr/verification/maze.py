"""Checks ways through mazes: against the one target sequence, or by walking them."""

from rlvr.data import Problem, Verdict

Square = tuple[int, int]  # row and column in the grid
MOVES: dict[str, Square] = {"UP": (-1, 0), "DOWN": (1, 0), "LEFT": (0, -1), "RIGHT": (0, 1)}
DONE = "DONE"
WALL, PATH, START, GOAL = "#.SG"  # as a grid's rows are kept


def moves_before_done(text: str) -> list[str] | None:
    """The moves up to DONE; None where DONE is missing or something else than moves comes before it."""
    words = text.split()
    if DONE not in words:
        return None
    moves = words[: words.index(DONE)]
    return moves if all(move in MOVES for move in moves) else None


def verify_maze_path(problem: Problem, text: str) -> Verdict:
    """The target sequence and nothing else: a detour that reaches the goal is WRONG."""
    if (moves := moves_before_done(text)) is None:
        return Verdict.NO_ANSWER
    return Verdict.CORRECT if moves == moves_before_done(problem.answer) else Verdict.WRONG


def verify_maze_walk(problem: Problem, text: str) -> Verdict:
    """Any walk that reaches the goal before a wall or the edge; the rest is not walked (MaxRL's judge)."""
    if (moves := moves_before_done(text)) is None:
        return Verdict.NO_ANSWER
    rows = problem.metadata["rows"]
    row, column = find(rows, START)
    for move in moves:
        down, right = MOVES[move]
        row, column = row + down, column + right
        inside = 0 <= row < len(rows) and 0 <= column < len(rows[row])
        if not inside or rows[row][column] == WALL:
            return Verdict.WRONG
        if rows[row][column] == GOAL:
            return Verdict.CORRECT
    return Verdict.WRONG


def find(rows: tuple[str, ...], square: str) -> Square:
    """Where the start or the goal is."""
    return next((row, text.index(square)) for row, text in enumerate(rows) if square in text)
