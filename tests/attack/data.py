"""Data files of every odd kind: each gives the answers that stand in it, or a sentence."""

import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rlvr.errors import UserError
from rlvr.problems.dataset import dataset_problems
from tests.attack.outcomes import Outcome, Tally, attempt, spread, tally


def lines(*answers: object) -> bytes:
    """A JSONL file; the answers as JSON writes them."""
    rows = [{"problem": f"question {i}", "answer": answer} for i, answer in enumerate(answers)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def raw(*answers: str) -> bytes:
    """A JSONL file whose answers are these very characters, quotes or none."""
    return "".join(
        f'{{"problem": "question {i}", "answer": {text}}}\n' for i, text in enumerate(answers)
    ).encode()


def unescaped(answer: str) -> bytes:
    """A line that has its letters as they are, also those that some readers take for a line's end."""
    return (json.dumps({"problem": "q", "answer": answer}, ensure_ascii=False) + "\n").encode()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def with_a_bit(content: bytes) -> bytes:
    """One bit flipped in the middle, which is data."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


def parquet(column: pa.Array, **settings: bool) -> bytes:
    questions = pa.array([f"question {i}" for i in range(len(column))])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"problem": questions, "answer": column}), buffer, **settings)
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
LINE_ENDS = "\u2028\u2029\x85"
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
    ("utf-16.jsonl", lines("7").decode().encode("utf-16"), ["7"]),  # has a mark that says so
    ("utf-16-without-a-mark.jsonl", lines("7").decode().encode("utf-16-le"), None),
    ("utf-32.jsonl", lines("é").decode().encode("utf-32"), ["é"]),
    ("a-mark-alone.jsonl", b"\xef\xbb\xbf", None),
    ("half-a-letter.jsonl", lines("7").replace(b"question", "é".encode()[:1]), None),
    ("star*.jsonl", lines("7"), ["7"]),
    ("br[1]{x}.jsonl", lines("7"), ["7"]),
    ("UPPER.JSONL", lines("7"), ["7"]),  # case of a suffix does not count
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
    *((f"line-end-within-{ord(end):x}.jsonl", unescaped(f"a{end}b"), [f"a{end}b"]) for end in LINE_ENDS),
    ("truth.jsonl", raw("true", "false"), ["true", "false"]),
    (
        "exponents.jsonl",
        raw("1e400", "-1E-400", "1e5", "-0", "0.10"),
        ["1e400", "-1E-400", "1e5", "-0", "0.10"],
    ),
    ("very-long-integer.jsonl", raw("7" * 5000), ["7" * 5000]),
    ("whole-decimal.jsonl", raw("27.0", "27.50"), ["27", "27.50"]),
    ("list-of-one.jsonl", raw('["7"]'), ["7"]),
    ("no-break-spaces.jsonl", lines("\u00a0\u2003"), None),
    ("half-a-surrogate.jsonl", raw('"\\ud800"'), None),
    ("nul-within.jsonl", lines("a\0b"), None),
    ("a-pair.jsonl", raw('"\\ud83d\\ude00"'), ["\U0001f600"]),
    ("field-twice.jsonl", b'{"problem": "q", "answer": "7", "answer": "8"}\n', None),
    ("two-in-a-line.jsonl", lines("7", "8").replace(b"\n", b"", 1), None),
    ("comma-at-the-end.jsonl", lines("7").replace(b"}", b",}"), None),
    ("single-quotes.jsonl", lines("7").replace(b'"', b"'"), None),
    ("deep.jsonl", raw("[" * 99_999 + "]" * 99_999), None),
    ("deep-problem.jsonl", lines("7").replace(b'"question 0"', b"[" * 99_999 + b"]" * 99_999), None),
    ("problem-null.jsonl", lines("7").replace(b'"question 0"', b"null"), None),
    ("problem-empty.jsonl", lines("7").replace(b"question 0", b" "), None),
    ("problem-number.jsonl", lines("7").replace(b'"question 0"', b"12"), ["7"]),
    ("records.json", b'{"data": [{"problem": "q", "answer": "7"}]}', None),
    ("a-number.json", b"7", None),
    ("lines.json", lines("7", "8"), ["7", "8"]),
    ("nothing.jsonl.gz", gzip.compress(b""), None),
    ("two-members.jsonl.gz", gzip.compress(lines("7")) + gzip.compress(lines("8")), ["7", "8"]),
    ("rubbish-after.jsonl.gz", gzip.compress(lines("7")) + b"rubbish", None),
    ("zipped-twice.jsonl.gz", gzip.compress(gzip.compress(lines("7"))), None),
    ("zipped-unnamed.jsonl", gzip.compress(lines("7")), None),
    ("one-bit.jsonl.gz", with_a_bit(gzip.compress(lines("7") * 500)), None),
    ("zstd.jsonl.zst", zstd(lines("2024-01-05", "007")), ["2024-01-05", "007"]),
    ("broken.jsonl.zst", zstd(lines("7") * 500)[:-20], None),
    ("not-zstd.jsonl.zst", lines("7"), None),
    (
        "cells.csv",
        b'problem,answer\nq,2024-01-05\nr,007\ns,"1,5"\nt,"a\nb"\n',
        ["2024-01-05", "007", "1,5", "a\nb"],
    ),
    ("quotes.csv", b'problem,answer\nq,"say ""7"""\n', ['say "7"']),
    ("open-quote.csv", b'problem,answer\nq,"7\nr,8\n', None),
    ("more-cells.csv", b"problem,answer\nq,7,8\n", None),
    ("fewer-cells.csv", b"problem,answer\nq\n", None),
    ("same-names.csv", b"problem,answer,answer\nq,7,8\n", None),
    ("names-alone.csv", b"problem,answer\n", None),
    ("semicolons.csv", b"problem;answer\nq;7\n", None),
    ("empty-cell.csv", b"problem,answer\nq,\n", None),
    ("nul.csv", b"problem,answer\nq,\0\n", None),
    ("cells.tsv", b"problem\tanswer\nq\t1e5\n", ["1e5"]),
    ("commas.tsv", b"problem,answer\nq,7\n", None),
    ("truth.parquet", parquet(pa.array([True, False])), ["true", "false"]),
    ("dates.parquet", parquet(pa.array([19727], pa.date32())), None),
    ("times.parquet", parquet(pa.array([0], pa.timestamp("us"))), None),
    ("durations.parquet", parquet(pa.array([5], pa.duration("s"))), None),
    ("single.parquet", parquet(pa.array([0.1, 2.5], pa.float32())), ["0.1", "2.5"]),
    ("double.parquet", parquet(pa.array([0.1, 27.0])), ["0.1", "27"]),
    ("lost-digits.parquet", parquet(pa.array([2.0**60])), None),
    ("infinite.parquet", parquet(pa.array([float("inf")], pa.float32())), None),
    ("decimals.parquet", parquet(pa.array(["1.50"]).cast(pa.decimal128(9, 2))), ["1.50"]),
    ("unsigned.parquet", parquet(pa.array([2**64 - 1], pa.uint64())), [str(2**64 - 1)]),
    ("dictionary.parquet", parquet(pa.array(["7", "8", "7"]).dictionary_encode()), ["7", "8", "7"]),
    ("large.parquet", parquet(pa.array(["7"], pa.large_string())), ["7"]),
    ("lists.parquet", parquet(pa.array([["7"], ["8"]])), ["7", "8"]),
    ("longer-lists.parquet", parquet(pa.array([["7", "8"]])), None),
    ("objects.parquet", parquet(pa.array([{"value": "7"}])), None),
    ("no-types.parquet", parquet(pa.array([None, None])), None),
    ("text-named.parquet", lines("7"), None),
    # without checksums a flipped bit of a text is another text, in Parquet as in JSON
    ("one-bit.parquet", with_a_bit(parquet(pa.array(["6"] * 5000), write_page_checksum=True)), None),
]
# what lies at the path is no file: name -> how it is made
PLACES: dict[str, Callable[[Path], object]] = {
    "folder.jsonl": Path.mkdir,
    "pipe.jsonl": os.mkfifo,
    "pipe.parquet": os.mkfifo,
    "link-to-nothing.jsonl": lambda file: file.symlink_to("nothing"),
    "link-to-itself.jsonl": lambda file: file.symlink_to(file.name),
    "endless.jsonl": lambda file: file.symlink_to("/dev/zero"),
    "missing.jsonl": lambda file: None,
    "nowhere/missing.jsonl": lambda file: None,
}


def answers_of(file: Path) -> None:
    """Print the answers of a file as JSON, or what is wrong with it as the command line would."""
    try:
        problems = dataset_problems(
            size=None,
            held_out=False,
            seed=0,
            fields={"problem": "problem", "answer": "answer"},
            path=str(file),
            verifier="expression",  # whose references are not looked at
        )
    except UserError as error:
        print(f"rlvr: {error}")
        raise SystemExit(2) from error
    print(json.dumps([problem.answer for problem in problems]))


def tried(about: int | None) -> Iterator[tuple[str, Outcome, str]]:
    made = [
        *((name, lambda file, contents=contents: file.write_bytes(contents), expected)
          for name, contents, expected in FILES),
        *((name, make, None) for name, make in PLACES.items()),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "star-other.jsonl").write_bytes(lines("another file"))
        for name, make, expected in spread(made, about):
            file = Path(place) / name
            make(file)
            result = attempt(lambda file=file: answers_of(file), 20)
            outcome = result.failure
            if outcome is None:
                found = json.loads(result.output.strip().splitlines()[-1])
                outcome = Outcome.SAME if found == expected else Outcome.SILENT
            elif outcome is Outcome.SENTENCE and expected is not None:
                outcome = Outcome.SILENT  # refused, though nothing is wrong with it
            elif outcome is Outcome.SENTENCE and Path(name).name not in result.output:
                outcome = Outcome.SILENT  # a sentence that does not say which file
            yield name, outcome, result.output


def data_files(about: int | None = None) -> Tally:
    return tally("data files", tried(about))
