"""The prefix tree of the completions of a group: what they share is there once."""

from collections.abc import Sequence
from itertools import takewhile
from operator import eq


def prefix_paths(completions: Sequence[Sequence[int]], first: int = 0) -> tuple[list[list[int]], int]:
    """Number the distinct prefixes of some completions, from `first` on.

    Args:
        completions: token ids of each; lengths may differ and may be 0.

    Returns:
        The prefix that every token of every completion ends, and the first number that was not used. Two
        tokens have one number if they, and all tokens before them, are equal.
    """
    paths: list[list[int]] = [[] for _ in completions]
    above: Sequence[int] = ()
    path: list[int] = []
    # sorted, a completion shares most with the one before it
    for index in sorted(range(len(completions)), key=completions.__getitem__):
        tokens = completions[index]
        shared = sum(1 for _ in takewhile(bool, map(eq, above, tokens)))
        path = [*path[:shared], *range(first, first := first + len(tokens) - shared)]
        paths[index], above = path, tokens
    return paths, first
