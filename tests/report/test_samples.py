"""Samples of an evaluation within a number of characters, whatever their length and number."""

import tracemalloc
from pathlib import Path

import pytest
from reported_runs import EASY, HARD, write_run

from rlvr.files.run_files import RunFiles
from rlvr.report import samples
from rlvr.report.samples import evaluation_samples
from rlvr.report.write import as_json

RIGHT, WRONG = "correct", "wrong"


def of_arms(folder: Path, rows: dict[str, list[tuple[str, str]]], *arms: str) -> dict:
    """What a page has of arms that answered the same."""
    runs = [RunFiles(write_run(folder, arm, rows)) for arm in arms]
    return evaluation_samples(runs, ["countdown_3"])["countdown_3"]


def test_all_distinct_texts_are_there_with_their_numbers_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(samples, "BATCH", 7, raising=False)
    rows = [(RIGHT, f"so {i}, \\boxed{{{i % 70}}}") for i in range(90)] + [(WRONG, f"{i}") for i in range(40)]
    (problem,) = of_arms(tmp_path, {EASY: [*rows, *rows, rows[5]]}, "grpo")["problems"]
    cell = problem["cells"]["grpo"]
    shown = {(verdict, problem["texts"][text]): count for text, verdict, count in cell["samples"]}
    assert shown == {row: 2 + (row == rows[5]) for row in rows}
    assert (problem["texts"][cell["samples"][0][0]], cell["more"]) == (rows[5][1], 0)
    answers = {problem["texts"][text]: count for text, count in cell["answers"]}
    assert answers == {str(i): 2 + 2 * (i < 20) + (i == 5) for i in range(70)}
    assert cell["distinct"] == 70


def test_a_page_of_many_problems_and_arms_keeps_its_budget_and_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(samples, "BUDGET", 200_000)
    lines = "\n".join(f"line {i} of many" for i in range(50))
    answered = [
        (RIGHT if i % 4 else WRONG, f"{i} {lines} {i} \\boxed{{{'7' * 300} {i % 2}}}") for i in range(16)
    ]
    rows = {f"problem {i}": answered for i in range(300)}
    page = of_arms(tmp_path, rows, "base", "grpo", "f-grpo")
    assert len(as_json(page)) <= 200_000
    shown = [problem["id"] for problem in page["problems"]]
    assert (page["of"], shown[0], shown[-1]) == (300, "problem 0", "problem 299")
    assert 40 < len(shown) < 100
    for problem in page["problems"]:
        assert list(problem["cells"]) == ["base", "grpo", "f-grpo"]
        for cell in problem["cells"].values():
            assert (cell["n"], cell["c"], cell["distinct"]) == (16, 12, 2)
            kept = {verdict: problem["texts"][text] for text, verdict, _ in cell["samples"]}
            assert kept[RIGHT].startswith("1 line 0 of many") and kept[RIGHT].endswith("7 1}")
            assert "characters left out" in kept[WRONG]
            assert cell["answers"]
            assert sum(count for *_, count in cell["samples"]) + cell["more"] == 16


def test_a_text_without_room_is_in_a_number_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "BUDGET", 3_000)
    rows = [(WRONG, letter * 900) for letter in "abcdcba"]
    (problem,) = of_arms(tmp_path, {HARD: rows}, "grpo")["problems"]
    cell = problem["cells"]["grpo"]
    assert [(problem["texts"][text][0], count) for text, _, count in cell["samples"]] == [
        ("a", 2),
        ("b", 2),
        ("c", 2),
    ]
    assert (cell["n"], cell["more"]) == (7, 1)


def test_no_more_texts_are_held_than_a_page_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "BUDGET", 100_000)
    monkeypatch.setattr(samples, "BATCH", 16, raising=False)
    long = "x" * 40_000
    rows = {
        f"problem {i}": [(RIGHT if n % 2 else WRONG, f"{i} {n} {long}") for n in range(40)] for i in range(5)
    }
    runs = [RunFiles(write_run(tmp_path, "grpo", rows))]
    evaluation_samples(runs, ["countdown_3"])  # what is loaded once
    tracemalloc.start()
    evaluation_samples(runs, ["countdown_3"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_500_000  # of 8,000,000 characters, two batches of 640,000
