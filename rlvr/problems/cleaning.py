"""What is left out of a data set, and what training and benchmarks have in common."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.problems.lazy import LazyProblems
from rlvr.verification.notation import normal_form

_WORD = re.compile(r"[^\W\d_]+|\d+|[-+*/^=<>]|(?<!\\)[()!]")  # but for LaTeX's \( \) and \!


def normalized_text(problem: Problem) -> str:
    """A question's words, numbers, operators and brackets: equal for copies that differ in spaces, case or
    dollars."""
    return " ".join(_WORD.findall(problem.prompt[-1]["content"].casefold()))


def without_long(problems: list[Problem], limit: int, tokenizer: str | None) -> tuple[list[Problem], int]:
    """Leave out problems of more than `limit` tokens; also how many that were."""
    from rlvr.config import ModelConfig
    from rlvr.policy.policy import load_tokenizer

    if tokenizer is None:
        raise UserError(
            "parameters.max_tokens needs parameters.tokenizer: a local folder, a hub id or embedded"
        )
    questions = [problem.prompt[-1]["content"] for problem in problems]
    tokens = load_tokenizer(ModelConfig(path=tokenizer))(questions, add_special_tokens=False)["input_ids"]
    kept = [problem for problem, ids in zip(problems, tokens, strict=True) if len(ids) <= limit]
    return kept, len(problems) - len(kept)


def without_conflicting(problems: list[Problem]) -> tuple[list[Problem], int]:
    """Leave out every copy of a problem whose copies have different answers; also how many that were."""
    answers = defaultdict(set)
    for problem in problems:
        answers[normalized_text(problem)].add(normal_form(problem.answer))
    kept = [problem for problem in problems if len(answers[normalized_text(problem)]) == 1]
    return kept, len(problems) - len(kept)


def without_repeated(problems: list[Problem]) -> tuple[list[Problem], int]:
    """Keep the first of problems with the same words; also how many were not first."""
    first: dict[str, Problem] = {}
    for problem in problems:
        first.setdefault(normalized_text(problem), problem)
    return list(first.values()), len(problems) - len(first)


def overlap(problems: Sequence[Problem], benchmarks: Mapping[str, Sequence[Problem]]) -> dict[str, list[str]]:
    """Ids of the problems of each benchmark whose normalised words are also in `problems`.

    Problems generated on access are not looked through: the split keeps them from every benchmark.
    """
    if isinstance(problems, LazyProblems):
        return {}
    known = {normalized_text(problem) for problem in problems}
    found = {
        name: [problem.id for problem in tested if normalized_text(problem) in known]
        for name, tested in benchmarks.items()
    }
    return {name: ids for name, ids in found.items() if ids}
