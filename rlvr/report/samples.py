"""Evaluation samples as a report shows them: how often each problem was solved, and with what answers.

Success rates and numbers of distinct answers are over all samples. Texts are those that fit a file which is
small enough to open at once, each once with the number of times it was sampled; no others are held.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from rlvr.data import UNSCORABLE, Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.errors import UserError
from rlvr.files.run_files import RunFiles, damage_as_sentence
from rlvr.problems import load_problems
from rlvr.report.training_groups import evenly

BUDGET = 6_000_000  # characters in a file
NUMBERS = 100  # of them for the numbers of a cell
ENTRY = 20  # for what stands beside a text
TEXT_LIMIT, ANSWER_LIMIT = 4000, 200  # for a completion, and for an answer
LEAST = 500  # for the right samples of a cell, and for the others; problems are left out where it isn't there
FIRST = ANSWER_LIMIT + 2 * ENTRY + 70  # of these for an answer, and for the word on what is left out
BATCH = 1024  # samples that are read at once


@dataclass(slots=True)
class Cell:
    """All samples of one problem by one arm.

    Attributes:
        counts: how many samples have a verdict.
        distinct: hashes of the right answers.
        answers, texts: how often each (verdict, text) came up, of those that there was room for.
        used: how much of it the right samples have taken, and the others.
    """

    counts: Counter[str] = field(default_factory=Counter)
    distinct: set[int] = field(default_factory=set)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    used: Counter[bool] = field(default_factory=Counter)

    @property
    def kinds(self) -> int:
        """Whether it has right samples and others, or one of the two."""
        return len({verdict == Verdict.CORRECT for verdict in self.counts})

    def add(self, verdict: str, text: str, count: int, problem: Problem | None, room: int) -> None:
        """Samples that are a text, of which the beginning and the end stay, or no more than their number."""
        if verdict == Verdict.CORRECT:
            answer = answer_of(text, problem)
            self.distinct.add(hash(answer))
            self._keep(self.answers, verdict, clip(answer, ANSWER_LIMIT), count, room)
        self._keep(self.texts, verdict, clip(text, min(TEXT_LIMIT, room - FIRST)), count, room)

    def _keep(self, texts: Counter, verdict: str, text: str, count: int, room: int) -> None:
        right, size = verdict == Verdict.CORRECT, len(text) + ENTRY
        if (verdict, text) not in texts:
            if self.used[right] + size > room:
                return  # nor will it fit when it comes up again, so that a number is never half of one
            self.used[right] += size
        texts[verdict, text] += count


Cells = dict[str, dict[str, Cell]]  # by problem id and arm


def evaluation_samples(runs: Sequence[RunFiles], benchmarks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the report's page needs of each benchmark that some finished run answered.

    Returns:
        By benchmark: `of`, how many problems it has, and `problems`, those that there is room for, a list of
        {"id", "prompt", "answer", "texts", "cells"}; a cell, by arm, has `n` scorable samples and `c` right
        ones, `distinct` right answers, and indices into `texts` with counts: `answers` [[text, count]] and
        `samples` [[text, verdict, count]], the frequent ones first. `more` is the number of samples whose
        text there was no room for.
    """
    tallies = {name: cells for name in benchmarks if (cells := tally(runs, name))}
    problems = {name: known_problems(runs, name) for name in tallies}
    asked = {name: [question(key, problems[name].get(key)) for key in tallies[name]] for name in tallies}
    shown, room = choose(tallies, asked)
    for name in shown:
        cells = {problem["id"]: tallies[name][problem["id"]] for problem in shown[name]}
        for arm, (key, verdict, text), count in counted(runs, name, "problem_id", "verdict", "text"):
            if key in cells:
                cells[key][arm].add(verdict, text, count, problems[name].get(key), room)
    return {
        name: {
            "of": len(asked[name]),
            "problems": [problem | _answered(tallies[name][problem["id"]]) for problem in shown[name]],
        }
        for name in shown
    }


def known_problems(runs: Sequence[RunFiles], benchmark: str) -> dict[str, Problem]:
    """The problems of a benchmark by id, as the runs' config gives them; none where its data is not here."""
    tasks = (run.config.benchmark.tasks.get(benchmark) for run in runs)
    try:
        asked = load_problems(task, held_out=True) if (task := next(filter(None, tasks), None)) else []
        return {problem.id: problem for problem in asked}
    except (UserError, OSError):  # the hub's data sets may be out of reach; ids do for a report
        return {}


def question(problem_id: str, problem: Problem | None) -> dict[str, str]:
    """What was asked; the id where that is not known."""
    prompt = "\n\n".join(message["content"] for message in problem.prompt) if problem else problem_id
    return {"id": problem_id, "prompt": clip(prompt), "answer": clip(problem.answer) if problem else ""}


def tally(runs: Sequence[RunFiles], benchmark: str) -> Cells:
    """How many samples have a verdict, over the seeds of each arm; no text is read."""
    cells: Cells = {}
    for arm, (problem_id, verdict), count in counted(runs, benchmark, "problem_id", "verdict"):
        cells.setdefault(problem_id, {}).setdefault(arm, Cell()).counts[verdict] += count
    return cells


def choose(
    tallies: Mapping[str, Cells], asked: Mapping[str, list[dict[str, str]]]
) -> tuple[dict[str, Sequence[dict[str, str]]], int]:
    """Problems of each benchmark, evenly spaced where there is no room for all, and the characters that the
    right samples of each of their cells have, and the others."""
    most = max(map(len, asked.values()), default=0)
    while True:
        shown = {name: evenly(problems, most) for name, problems in asked.items()}
        cells = [cell for name in shown for of in shown[name] for cell in tallies[name][of["id"]].values()]
        texts = sum(len(text) for problems in shown.values() for of in problems for text in of.values())
        room = (BUDGET - texts - NUMBERS * len(cells)) // max(sum(cell.kinds for cell in cells), 1)
        if room >= LEAST or most <= 1:
            return shown, max(room, 0)
        most = most * 9 // 10


def counted(
    runs: Sequence[RunFiles], benchmark: str, *columns: str
) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """(arm, values of some columns, number of samples) of the runs that are finished, a few at a time."""
    files = ((run.arm, run.samples(benchmark)) for run in runs if run.finished)
    for arm, file in ((arm, file) for arm, file in files if file):
        # with a buffer, or a column would be in memory as a whole
        with damage_as_sentence(file), pq.ParquetFile(file, buffer_size=1 << 20) as parquet:
            for batch in parquet.iter_batches(BATCH, columns=list(columns)):
                values = Counter(zip(*(batch[name].to_pylist() for name in columns), strict=True))
                yield from ((arm, value, count) for value, count in values.items())


def answer_of(text: str, problem: Problem | None) -> str:
    r"""The answer inside a completion: its last `\boxed{}`, or all of it, without spaces in an expression."""
    answer = final_answer(text) or text
    if problem and problem.verifier == "expression":
        return "".join(answer.split())
    return " ".join(answer.split())


def _answered(cells: Mapping[str, Cell]) -> dict[str, Any]:
    """The texts of a problem, and its cells as the page has them."""
    texts: dict[str, int] = {}

    def frequent(counts: Counter[tuple[str, str]]) -> list[tuple[int, str, int]]:
        found = counts.most_common()
        return [(texts.setdefault(text, len(texts)), verdict, count) for (verdict, text), count in found]

    shown = {
        arm: {
            "n": cell.counts.total() - sum(cell.counts[kind] for kind in UNSCORABLE),
            "c": cell.counts[Verdict.CORRECT],
            "distinct": len(cell.distinct),
            "answers": [(text, count) for text, _, count in frequent(cell.answers)],
            "samples": frequent(cell.texts),
            "more": cell.counts.total() - cell.texts.total(),
        }
        for arm, cell in cells.items()
    }
    return {"texts": list(texts), "cells": shown}


def clip(text: str, limit: int = TEXT_LIMIT) -> str:
    """The beginning and the end of a text that is too long; what stands between is counted."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[{len(text) - 2 * half:,} characters left out]\n{text[-half:]}"
