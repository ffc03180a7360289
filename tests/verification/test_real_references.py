"""The references of the real data sets, where RLVR_DATA names the folder that holds them."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rlvr.data import Verdict
from rlvr.data.answer_text import final_answer
from rlvr.verification.pool import VerifierPool
from rlvr.verification.reference import Reference
from rlvr.verification.references import check_references

FOLDER = os.environ.get("RLVR_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="RLVR_DATA names no folder of data sets")

# file: where a row has its reference, and what of it cannot be judged
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "math500.jsonl": ("answer", {}),
    "aime24.jsonl": ("answer", {}),
    "aime25.jsonl": ("answer", {}),
    "amc_83.jsonl": ("answer", {}),
    "limr.jsonl": ("answer", {}),
    "deepscaler_803.jsonl": ("answer", {}),
    "math_3_5.jsonl.gz": ("answer", {"": "is empty", "None": "is a missing value"}),
    "minerva.jsonl": ("solution", {}),
    "minerva_lists.jsonl": ("answer", {}),
    "olympiadbench.jsonl": ("final_answer", {"$t(0,4]$": "cannot be parsed"}),
}


def references(file: str) -> list[str]:
    """The different references of a file, in order."""
    field, _ = FILES[file]
    path = Path(FOLDER or "") / file
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    with gzip.open(path, "rt") if file.endswith(".gz") else path.open() as lines:
        values: list[Any] = [json.loads(line)[field] for line in lines]
    if field == "solution":
        values = [final_answer(value) for value in values]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(map(str, texts)))


@pytest.fixture(scope="module")
def pool():
    with VerifierPool(2, deadline_seconds=30) as pool:
        yield pool


@pytest.mark.parametrize("file", FILES)
def test_references_can_be_judged(file: str, pool: VerifierPool) -> None:
    texts = references(file)
    found = {texts[index]: reason for index, reason in check_references(texts, pool)}
    assert found == FILES[file][1]


@pytest.mark.parametrize("file", FILES)
def test_a_reference_given_back_is_right(file: str, pool: VerifierPool) -> None:
    texts = [text for text in references(file) if text not in FILES[file][1]]
    verdicts = pool.verify([(text, rf"so \boxed{{{text}}}.") for text in texts])
    assert [
        text for text, verdict in zip(texts, verdicts, strict=True) if verdict is not Verdict.CORRECT
    ] == []


@pytest.mark.parametrize("file", ["math500.jsonl", "aime24.jsonl", "limr.jsonl"])
def test_the_next_reference_is_wrong(file: str, pool: VerifierPool) -> None:
    """But for those that mean the same: 3/8 is written in two ways."""
    texts = references(file)
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    verdicts = pool.verify([(reference, rf"\boxed{{{answer}}}") for reference, answer in pairs])
    same = [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is Verdict.CORRECT]
    assert set(same) <= {(r"\frac38", r"\dfrac38")}


def test_olympiadbench_is_judged_by_what_it_says(pool: VerifierPool) -> None:
    """Its own answers are right with its units and bounds, and the next problem's are not."""
    path = Path(FOLDER or "") / "olympiadbench.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = [row for row in rows if row["final_answer"] != ["$t(0,4]$"]]
    told = [
        Reference(
            row["final_answer"][0], row["unit"] or "", row["error"] or "", row["is_multiple_answer"],
            row["answer_type"],
        )
        for row in rows
    ]  # fmt: skip
    answers = [rf"\boxed{{{row['final_answer'][0]}}}" for row in rows]
    verdicts = pool.verify(list(zip(told, answers, strict=True)))
    assert [row["id"] for row, v in zip(rows, verdicts, strict=True) if v is not Verdict.CORRECT] == []
    following = pool.verify(list(zip(told, answers[1:] + answers[:1], strict=True)))
    pairs = zip(rows, rows[1:] + rows[:1], following, strict=True)
    right = [(row, after) for row, after, verdict in pairs if verdict is Verdict.CORRECT]
    assert all(row["final_answer"] == after["final_answer"] for row, after in right)
