"""Data files of every odd kind: each gives the answers that stand in it, or a sentence."""

import gzip
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rlvr.errors import UserError
from rlvr.problems.dataset import dataset_problems
from tests.attack.outcomes import Outcome, Tally, attempt, tally


def lines(*answers: object) -> bytes:
    """A JSONL file; the answers as JSON writes them."""
    rows = [{"problem": f"question {i}", "answer": answer} for i, answer in enumerate(answers)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def raw(*answers: str) -> bytes:
    """A JSONL file whose answers are these very characters, quotes or none."""
    return "".join(
        f'{{"problem": "question {i}", "answer": {text}}}\n' for i, text in enumerate(answers)
    ).encode()


def parquet(column: pa.Array) -> bytes:
    questions = pa.array([f"question {i}" for i in range(len(column))])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"problem": questions, "answer": column}), buffer)
    return buffer.getvalue()


TEXTS = (
    *(
        "2024-01-05",
        "2024-01-05T10:00:00Z",
        "10:30",
        "12:30:15",
        "true",
        "false",
        "null",
        "NaN",
        "1e5",
        "007",
    ),
    *(
        "1.0",
        "3.",
        ".5",
        "+7",
        "-0",
        "1_000",
        "0x1f",
        "  8",
        "yes",
        "1,234",
        "1/2",
        "12345678901234567890123",
    ),
    *("Infinity", "None", "[1, 2]", '{"a": 1}', "\\frac{1}{2}", "é", "５", "P1D", "10%", "$5", "50 cents"),
)
NUMBERS = ("7", "-7", "12345678901234567890123", "18446744073709551616", "9007199254740993", "0")
# file name, contents, the answers that it has (None: it can't be read, which takes a sentence)
FILES: list[tuple[str, bytes, list[str] | None]] = [
    ("all-texts.jsonl", lines(*TEXTS), [text.strip() for text in TEXTS]),
    *((f"one-text-{i}.jsonl", lines(text), [text.strip()]) for i, text in enumerate(TEXTS)),
    *((f"text-twice-{i}.jsonl", lines(text, text), [text.strip()] * 2) for i, text in enumerate(TEXTS)),
    *((f"number-{i}.jsonl", raw(text), [text]) for i, text in enumerate(NUMBERS)),
    *((f"number-beside-a-half-{i}.jsonl", raw(text, "0.5"), [text, "0.5"]) for i, text in enumerate(NUMBERS)),
    *((f"number-beside-text-{i}.jsonl", raw(text, '"b"'), [text, "b"]) for i, text in enumerate(NUMBERS)),
    ("numbers.jsonl", raw(*NUMBERS), list(NUMBERS)),
    ("decimal.jsonl", raw("0.1", "2.5"), ["0.1", "2.5"]),
    ("long-decimal.jsonl", raw("3.14159265358979323846"), ["3.14159265358979323846"]),
    *(
        (f"no-answer-{i}.jsonl", raw(text), None)
        for i, text in enumerate(("NaN", "Infinity", "-Infinity", "null"))
    ),
    ("dict.jsonl", raw('{"value": 3}'), None),
    ("list-with-null.jsonl", raw("[1, null, 2]"), None),
    ("empty-text.jsonl", lines(""), None),
    ("blank-text.jsonl", lines("  "), None),
    ("empty.jsonl", b"", None),
    ("blank.jsonl", b"\n\n\n", None),
    ("empty-list.json", b"[]", None),
    ("nul.jsonl", bytes(100), None),
    ("latin-1.jsonl", lines("7").replace(b"question", b"fran\xe7ais"), None),
    ("bom.jsonl", b"\xef\xbb\xbf" + lines("7", "8"), ["7", "8"]),
    ("crlf.jsonl", lines("7", "8").replace(b"\n", b"\r\n"), ["7", "8"]),
    ("blank-lines.jsonl", lines("7", "8").replace(b"\n", b"\n\n"), ["7", "8"]),
    ("no-last-newline.jsonl", lines("7", "8").rstrip(b"\n"), ["7", "8"]),
    ("truncated.jsonl", lines("7", "8")[:-9], None),
    ("comment.jsonl", b"// comment\n" + lines("7"), None),
    ("array.json", json.dumps([{"problem": "q", "answer": "2024-01-05"}]).encode(), ["2024-01-05"]),
    ("array.jsonl", json.dumps([{"problem": "q", "answer": "7"}]).encode(), None),
    ("not-objects.jsonl", b'"a"\n7\n', None),
    ("misspelt.jsonl", b'{"problem": "q", "anwser": "7"}\n', None),
    ("rows-differ.jsonl", lines("7") + b'{"problem": "r"}\n', None),
    ("zipped.jsonl.gz", gzip.compress(lines("2024-01-05", "true")), ["2024-01-05", "true"]),
    ("broken.jsonl.gz", gzip.compress(lines("7") * 500)[:-20], None),
    ("not-zipped.jsonl.gz", lines("7"), None),
    ("utf-16.jsonl", lines("7").decode().encode("utf-16"), None),
    ("star*.jsonl", lines("7"), ["7"]),
    ("br[1]{x}.jsonl", lines("7"), ["7"]),
    ("UPPER.JSONL", lines("7"), None),
    ("text.txt", lines("7"), None),
    ("text.parquet", parquet(pa.array(["2024-01-05", "007"])), ["2024-01-05", "007"]),
    (
        "integers.parquet",
        parquet(pa.array([2**63 - 1, 9007199254740993])),
        [str(2**63 - 1), "9007199254740993"],
    ),
    ("bytes.parquet", parquet(pa.array([b"6"])), None),
    ("missing.parquet", parquet(pa.array(["6", None])), None),
    ("nan.parquet", parquet(pa.array([float("nan")])), None),
    ("cut.parquet", parquet(pa.array(["6"]))[:-30], None),
    ("nul.parquet", bytes(500), None),
    ("empty.parquet", parquet(pa.array([], pa.string())), None),
]


def answers_of(file: Path) -> None:
    """Print the answers of a file as JSON, or what is wrong with it as the command line would."""
    try:
        problems = dataset_problems(
            size=None,
            held_out=False,
            seed=0,
            fields={"problem": "problem", "answer": "answer"},
            path=str(file),
            verifier="words",
        )
    except UserError as error:
        print(f"rlvr: {error}")
        raise SystemExit(2) from error
    print(json.dumps([problem.answer for problem in problems]))


def tried() -> Iterator[tuple[str, Outcome, str]]:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "star-other.jsonl").write_bytes(lines("another file"))
        for name, contents, expected in FILES:
            file = Path(place) / name
            file.write_bytes(contents)
            result = attempt(lambda file=file: answers_of(file))
            outcome = result.failure
            if outcome is None:
                found = json.loads(result.output.strip().splitlines()[-1])
                outcome = Outcome.SAME if found == expected else Outcome.SILENT
            elif outcome is Outcome.SENTENCE and expected is not None and not name.endswith(".JSONL"):
                outcome = Outcome.SILENT  # refused, though nothing is wrong with it
            yield name, outcome, result.output


def data_files() -> Tally:
    return tally("data files", tried())
