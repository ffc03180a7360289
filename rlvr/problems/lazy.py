"""Problems that are generated on access: a million of them take neither memory nor time to load."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import overload

from rlvr.data import Problem


class LazyProblems(Sequence[Problem]):
    """A data set whose problems are generated on access, each a function of its id alone.

    Args:
        ids: of the problems, in order.
        generate: makes the problem of an id; the same id gives the same problem.
    """

    def __init__(self, ids: Sequence[str], generate: Callable[[str], Problem]):
        self.ids = ids
        self.generate = generate

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Problem: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyProblems": ...
    def __getitem__(self, index: int | slice):
        if isinstance(index, slice):
            return LazyProblems(self.ids[index], self.generate)
        return self.generate(self.ids[index])


def ids_of(problems: Sequence[Problem]) -> Sequence[str]:
    """The ids of all problems in order, without generating any."""
    return problems.ids if isinstance(problems, LazyProblems) else [problem.id for problem in problems]


def content_fingerprint(problems: Sequence[Problem]) -> str:
    """16 hexadecimal digits of all that problems say, in order."""
    content = json.dumps([asdict(problem) for problem in problems], sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def contents(sets: Mapping[str, Sequence[Problem]]) -> dict[str, str]:
    """`content_fingerprint` of each set by its name, without those that are drawn: their ids say it all."""
    return {
        name: content_fingerprint(problems)
        for name, problems in sets.items()
        if not isinstance(problems, LazyProblems)
    }
