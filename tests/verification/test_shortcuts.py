"""Answers that have the right value and show nothing."""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.verification import pool_of, verify
from rlvr.verification.shortcuts import is_shortcut

SUM = "Compute $99^2 + 99+1$ in your head."


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        (SUM, "9901", "99^2+99+1"),
        (SUM, "9901", r"99^{2} + 99 + 1"),
        (SUM, "9901", "99^2+99+1 = x"),
        (r"Evaluate $\sin 60^\circ$.", r"\frac{\sqrt{3}}{2}", r"\sin 60^{\circ}"),
        (r"Simplify $\sqrt{242}$.", r"11\sqrt2", r"\sqrt{242}"),
        (r"Write $\frac{3}{20}$ as a decimal.", "0.15", r"\dfrac 3{20}"),
        ("Factor $x^2-1$.", "(x-1)(x+1)", "x^2-1"),
        (r"Simplify $(1+2i)6-3i$.", "6+9i", r"\left(1+2i\right)6 - 3i"),
        # undone, wherever the numbers come from
        ("What is 2 - 1 + 2?", "3", "2 + 2 - 1"),
        ("How many eggs?", "24", r"3 \times 8"),
        ("How many eggs?", "24", r"\frac{48}{2}"),
        ("How many eggs?", "24", "(2)(12)"),
        ("How much?", "1.5", "2 - 0.5"),
        ("How much?", "-51", "47 - 98"),
        ("How many per cent?", r"50\%", "25+25"),
        # in other spellings
        ("How many eggs?", "24", r"3 \times 8\text{ eggs}"),
        ("How many eggs?", "24", "３×８"),
        ("How many eggs?", "24", r"\bm{3\cdot 8}"),
        ("How many eggs?", "24", "20+4=n"),
        (r"Evaluate $\log_2 32$.", "5", r"\log_2(32)"),
        (r"Simplify $\frac{6}{8}$.", r"\frac34", "6/8"),
        (r"Compute $\binom{10}{3}$.", "120", r"\dbinom{10}{3}"),
    ],
)
def test_a_copy_and_a_calculation_left_undone_are_shortcuts(question: str, reference: str, answer: str):
    assert is_shortcut(question, [reference], answer)


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        (SUM, "9901", "9901"),
        (SUM, "9901", "9,901"),
        (SUM, "9901", "99^2+99+1 = 9901"),
        (SUM, "99^2+99+1", "99^2+99+1"),  # as the reference is written
        (r"Which is larger, $\frac{3}{4}$ or $\frac23$?", r"\frac{3}{4}", r"\dfrac34"),
        ("Is the point $(3,4)$ or $(4,-3)$ on it?", "(4, -3)", "(4,-3)"),
        ("Where is it positive: $[-1, 2]$?", r"-1\le x\le 2", "[-1,2]"),
        ("If $n = 5$, what is $m$?", "5.0", "n = 5"),
        ("Find $P(x)$.", "(x-1)(x+1)", "P(x) = x^2-1"),
        (r"Where is it defined?", r"(-\infty,3)\cup(5,7)", r"(-\infty, 3) \cup (5, 7)"),
        ("How many?", "1024", "2^{10}"),
        ("How many?", "120", "5!"),
        ("How many?", "300000", r"3 \times 10^5"),
        ("How much?", "0.5", r"\frac12"),
        ("How much?", r"50\%", r"\frac{1}{2}"),
        ("How much?", r"12.5\%", r"\frac18"),
        ("How many?", "160", r"\frac{160}{1}"),
        ("How much?", "-74", "-74/1"),
        ("How much?", "0.75", "-3/-4"),
        ("How much?", "2.5", r"2\frac{1}{2}"),
        ("How much?", "18", r"\$18"),
        ("How much?", "18", r"18\text{ dollars}"),
        ("How much?", "-51", "-51"),
        ("How much?", "5", "="),
        ("How much?", "5", ""),
    ],
)
def test_what_was_worked_out_is_none(question: str, reference: str, answer: str):
    assert not is_shortcut(question, [reference], answer)


def test_a_long_number_takes_no_time():
    assert not is_shortcut("q", ["1" * 60], "1" * 60 + "x" + "(" * 50)


def problem(question: str, answer: str) -> Problem:
    return Problem("p", "test", ({"role": "user", "content": question},), answer, "math")


def verdicts(one: Problem, answers: list[str]) -> list[Verdict]:
    boxes = [rf"\boxed{{{answer}}}" for answer in answers]
    group = Group(one, [], [Completion([], [], box, "stop", 0) for box in boxes])
    verify([group])
    return group.verdicts


def test_a_shortcut_is_wrong_and_an_alternative_may_be_copied():
    one = problem("What is 12 + 7 - 5?", "14")
    assert verdicts(one, ["14", "12+7-5", "7+12-5", "12+7-5=14", "15"]) == [
        Verdict.CORRECT, Verdict.WRONG, Verdict.WRONG, Verdict.CORRECT, Verdict.WRONG,
    ]  # fmt: skip
    one = problem("Factor $x^2-1$, or not.", "(x-1)(x+1)")
    one.metadata["alternatives"] = ["x^2-1"]
    assert verdicts(one, ["x^2-1", "(x+1)(x-1)"]) == [Verdict.CORRECT, Verdict.CORRECT]


_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif("RLVR_DATA" not in os.environ, reason="RLVR_DATA names no folder of data sets")
def test_of_the_training_problems_of_math_few_are_solved_by_copying():
    """All formulas of a question with something to work out as its answer; every tenth problem."""
    with gzip.open(Path(os.environ["RLVR_DATA"]) / "math_train.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines][::10]
    by_equality, by_the_rules = [], []
    for row in rows:
        answer = final_answer(row["solution"])
        formulas = {part.strip(" .,") for found in _FORMULA.findall(row["problem"]) for part in found if part}
        formulas = sorted(text for text in formulas if re.search(r"[-+*/^]|\\(?!pi|infty)[a-z]{3}", text))
        formulas = [text for text in formulas if text.replace(" ", "") != answer.replace(" ", "")]
        pairs = [(answer, rf"\boxed{{{text}}}") for text in formulas]
        if Verdict.CORRECT in pool_of("math").verify(pairs):
            by_equality.append(row["problem"])
            if Verdict.CORRECT in verdicts(problem(row["problem"], answer), formulas):
                by_the_rules.append(row["problem"])
    print(f"of {len(rows)} problems {len(by_equality)} by equality alone, {len(by_the_rules)} by the rules")
    assert len(by_equality) > 0.05 * len(rows)
    assert len(by_the_rules) < 0.1 * len(by_equality), by_the_rules
