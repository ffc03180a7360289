"""Drawing problems: which belong to the benchmarks, by a fixed split, whatever the seeds and sizes."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from rlvr.data import Problem
from rlvr.errors import UserError

HELD_OUT_SHARE = 8  # one problem in eight belongs to the benchmarks


def held_out_by_hash(key: str) -> bool:
    """Whether the problem that `key` stands for is kept from training and the warm start."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def first_different(
    stream: Iterable[tuple[Problem, str]], size: int, kind: str, remedy: str, parameters: Mapping[str, Any]
) -> list[Problem]:
    """The first `size` different problems of an endless stream of (problem, right answer).

    Raises:
        UserError: where a thousand draws a problem do not find as many, with the parameters and a remedy.
    """
    problems: dict[str, Problem] = {}
    for draws, (problem, _) in enumerate(stream):
        problems.setdefault(problem.id, problem)
        if len(problems) == size:
            break
        if draws > 1000 * size:
            raise UserError(
                f"{size} different problems of {kind} asked for, but only {len(problems)} were found "
                f"with {dict(parameters)}: ask for fewer, or {remedy}"
            )
    return list(problems.values())
