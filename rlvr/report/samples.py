"""Evaluation samples as a report shows them: how often each problem was solved, and with what answers.

Success rates and numbers of distinct answers are over all samples. Texts are a choice of them, each
once with the number of times it was sampled, so that a file stays small enough to open at once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rlvr.data import UNSCORABLE, Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.errors import UserError
from rlvr.files.run_files import RunFiles, damage_as_sentence
from rlvr.problems import load_problems

TEXT_LIMIT = 4000  # characters of a completion
LIMITS = ((60, 20), (20, 10), (8, 4), (4, 2), (2, 1), (1, 1))  # right and other texts of a cell
BUDGET = 6_000_000  # characters in a file


@dataclass(slots=True)
class Cell:
    """All samples of one problem by one arm.

    Attributes:
        counts: how many samples have a verdict.
        answers: how often each distinct right answer was given.
        texts: how often each (verdict, text) came up.
    """

    counts: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def scorable(self) -> int:
        return self.counts.total() - sum(self.counts[kind] for kind in UNSCORABLE)


def evaluation_samples(runs: Sequence[RunFiles], benchmarks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the report's page needs of each benchmark that some finished run answered.

    Returns:
        By benchmark: `problems`, a list of {"id", "prompt", "answer", "texts", "cells"}; a cell, by arm, has
        `n` scorable samples and `c` right ones, `distinct` right answers, and indices into `texts` with
        counts: `answers` [[text, count]] and `samples` [[text, verdict, count]], the frequent ones first.
        Where texts were left out, `more` says how many of the distinct ones.
    """
    tallies = {}
    for benchmark in benchmarks:
        problems = known_problems(runs, benchmark)
        if tally := tally_samples(runs, benchmark, problems):
            tallies[benchmark] = problems, tally
    for right, other in LIMITS:
        shown = {
            name: {"problems": [_problem(problems, *item, right, other) for item in tally.items()]}
            for name, (problems, tally) in tallies.items()
        }
        size = sum(len(t) for b in shown.values() for problem in b["problems"] for t in problem["texts"])
        if size <= BUDGET:
            break
    return shown


def known_problems(runs: Sequence[RunFiles], benchmark: str) -> dict[str, Problem]:
    """The problems of a benchmark by id, as the runs' config gives them; none where its data is not here."""
    tasks = (run.config.benchmark.tasks.get(benchmark) for run in runs)
    try:
        asked = load_problems(task, held_out=True) if (task := next(filter(None, tasks), None)) else []
        return {problem.id: problem for problem in asked}
    except (UserError, OSError):  # the hub's data sets may be out of reach; ids do for a report
        return {}


def tally_samples(
    runs: Sequence[RunFiles], benchmark: str, problems: Mapping[str, Problem]
) -> dict[str, dict[str, Cell]]:
    """Cells by problem id and arm, over the seeds of each arm."""
    cells: dict[str, dict[str, Cell]] = {}
    for run in runs:
        if not run.finished or not (file := run.samples(benchmark)):
            continue
        for problem_id, verdict, text, count in distinct_samples(file):
            cell = cells.setdefault(problem_id, {}).setdefault(run.arm, Cell())
            cell.counts[verdict] += count
            cell.texts[verdict, text] += count
            if verdict == Verdict.CORRECT:
                cell.answers[answer_of(text, problems.get(problem_id))] += count
    return cells


def distinct_samples(file: Path) -> list[tuple[str, str, str, int]]:
    """(problem id, verdict, text, number of samples) of an evaluation's file."""
    columns = ["problem_id", "verdict", "text"]
    with damage_as_sentence(file):
        table = pq.read_table(file, columns=columns).group_by(columns).aggregate([([], "count_all")])
    return list(zip(*(table[name].to_pylist() for name in [*columns, "count_all"]), strict=True))


def answer_of(text: str, problem: Problem | None) -> str:
    r"""The answer inside a completion: its last `\boxed{}`, or all of it, without spaces in an expression."""
    answer = final_answer(text) or text
    if problem and problem.verifier == "expression":
        return "".join(answer.split())
    return " ".join(answer.split())


def _problem(
    problems: Mapping[str, Problem], problem_id: str, cells: Mapping[str, Cell], right: int, other: int
) -> dict[str, Any]:
    texts: dict[str, int] = {}

    def index(text: str) -> int:
        return texts.setdefault(clip(text), len(texts))

    shown = {}
    for arm, cell in cells.items():
        by_count = sorted(cell.texts.items(), key=lambda item: (-item[1], item[0]))
        correct = [item for item in by_count if item[0][0] == Verdict.CORRECT]
        others = [item for item in by_count if item[0][0] != Verdict.CORRECT]
        answers = sorted(cell.answers.items(), key=lambda item: (-item[1], item[0]))
        kept = sorted([*correct[:right], *others[:other]], key=lambda item: -item[1])
        shown[arm] = {
            "n": cell.scorable,
            "c": cell.counts[Verdict.CORRECT],
            "distinct": len(answers),
            "answers": [[index(answer), count] for answer, count in answers[:right]],
            "samples": [[index(text), verdict, count] for (verdict, text), count in kept],
            "more": len(by_count) - len(kept),
        }
    problem = problems.get(problem_id)
    return {
        "id": problem_id,
        "prompt": "\n\n".join(message["content"] for message in problem.prompt) if problem else problem_id,
        "answer": problem.answer if problem else "",
        "texts": list(texts),
        "cells": shown,
    }


def clip(text: str) -> str:
    """The beginning and the end of a text that is too long; what stands between is counted."""
    if len(text) <= TEXT_LIMIT:
        return text
    half = TEXT_LIMIT // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"
