"""Problems that are drawn when they are asked for: a million of them take neither memory nor time to load."""

from collections.abc import Callable, Sequence
from typing import overload

from rlvr.data import Problem


class DrawnProblems(Sequence[Problem]):
    """A data set whose problems are each a function of their id alone.

    Args:
        ids: of the problems, in order.
        draw: makes the problem of an id; the same id gives the same problem.
    """

    def __init__(self, ids: Sequence[str], draw: Callable[[str], Problem]):
        self.ids = ids
        self.draw = draw

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> "DrawnProblems": ...
    def __getitem__(self, index: int | slice):
        if isinstance(index, slice):
            return DrawnProblems(self.ids[index], self.draw)
        return self.draw(self.ids[index])


def ids_of(problems: Sequence[Problem]) -> Sequence[str]:
    """The ids of all problems in order, without drawing any."""
    return problems.ids if isinstance(problems, DrawnProblems) else [problem.id for problem in problems]
