"""Data files as they come: what a file says is what is read, and what can't be read is a sentence."""

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlvr.errors import UserError
from rlvr.problems.dataset import dataset_problems
from rlvr.problems.fields import answer_after
from rlvr.problems.rows import kind_of, parse_json


def write(folder: Path, content: bytes | str, name: str = "rows.jsonl") -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def read(path: str, **parameters) -> list[tuple[str, str]]:
    """Questions and answers; `expression` has no check of references."""
    fields = {"problem": "problem", "answer": "answer"}
    given = {"fields": fields, "path": path, "verifier": "expression"} | parameters
    problems = dataset_problems(size=None, held_out=False, seed=0, **given)
    return [(problem.prompt[0]["content"], problem.answer) for problem in problems]


def answers_of_json(folder: Path, *values: str, **parameters) -> list[str]:
    """The answers of rows in which the answer is written as given."""
    lines = "".join(f'{{"problem": "q", "answer": {value}}}\n' for value in values)
    return [answer for _, answer in read(write(folder, lines), **parameters)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['"2024-01-05"', '"2023-11-30"'], ["2024-01-05", "2023-11-30"]),
        (['"2024-01-05T10:30:00Z"'], ["2024-01-05T10:30:00Z"]),
        (['"10:30"', '"true"', '"null"', '"NaN"'], ["10:30", "true", "null", "NaN"]),
        (['"007"', '"1.00"', '"-0.0"', '"+5"', '"1e5"'], ["007", "1.00", "-0.0", "+5", "1e5"]),
        (["123456789012345678901234567890"], ["123456789012345678901234567890"]),
        (["18446744073709551615", "0.5"], ["18446744073709551615", "0.5"]),
        (["9007199254740993", "0.5"], ["9007199254740993", "0.5"]),
        (["1" + "0" * 5000], ["1" + "0" * 5000]),
        (["27.0", "-1.00", "0.1", "1e-07", "0.10"], ["27", "-1", "0.1", "1e-07", "0.10"]),
        (["true", "false"], ["true", "false"]),
        (["[7]", '["a"]'], ["7", "a"]),
        ([r'"a\u2028b"', '" padded "'], ["a\u2028b", "padded"]),
    ],
)  # fmt: skip
def test_what_the_file_says_is_the_answer(tmp_path: Path, values: list[str], expected: list[str]):
    assert answers_of_json(tmp_path, *values) == expected


@given(st.integers() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_whole_number_and_any_text_stay(value: int | str):
    assert str(parse_json(json.dumps(value), "here")) == str(value)
    assert parse_json(json.dumps({"a": value}), "here") == {"a": str(value)}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("null", "row 1 of .*rows.jsonl: field 'answer' is empty"),
        ("[]", "field 'answer' is empty"),
        ("NaN", "field 'answer' is NaN, no answer"),
        ("-Infinity", "field 'answer' is -Infinity, no answer"),
        ('{"value": 3}', r"field 'answer' is an object with 'value': name one of them, as in answer\.value"),
        ('[{"a": 3}]', r"field 'answer\.0' is an object with 'a': name one of them, as in answer\.0\.a"),
        ("[1, null, 2]", "field 'answer' is a list of 3: say what it means with parameters.several"),
        (r'"a\u0000b"', "field 'answer' has a NUL character"),
        (r'"\ud800"', "field 'answer' has half of a surrogate pair"),
        ('1, "answer": 2', "row 1 of .* has the field 'answer' twice"),
        ("[" * 100_000, "row 1 of .* has brackets nested too deep"),
    ],
)
def test_what_is_no_text_is_refused_by_row_and_field(tmp_path: Path, value: str, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        answers_of_json(tmp_path, value)
    assert "\n" not in str(error.value)


def test_several_answers_mean_what_is_said(tmp_path: Path):
    assert answers_of_json(tmp_path, '["1", 2.0]', several="together") == ["1, 2"]
    path = write(tmp_path, '{"problem": "q", "answer": ["1/2\\n", "0.5"]}\n{"problem": "p", "answer": "3"}')
    fields = {"problem": "problem", "answer": "answer"}
    both = dataset_problems(
        size=None, held_out=False, seed=0, path=path, fields=fields, verifier="words", several="alternatives"
    )
    assert [(p.answer, p.metadata) for p in both] == [("1/2", {"alternatives": ["0.5"]}), ("3", {})]
    with pytest.raises(UserError, match=r"field 'answer.1' is empty"):
        answers_of_json(tmp_path, "[1, null, 2]", several="together")
    with pytest.raises(UserError, match="did you mean alternatives"):
        answers_of_json(tmp_path, "1", several="alternative")


LINES = '{"problem": "größe", "answer": "1"}\n{"problem": "b", "answer": "2"}\n'
ROWS = [("größe", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", LINES.encode()),
        ("A.JSONL", LINES.encode()),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
        ("a.jsonl", LINES.encode("utf-16")),
        ("a.jsonl", b"\xfe\xff" + LINES.encode("utf-16-be")),
        ("a.jsonl", LINES.encode("utf-32")),
        ("a.jsonl", LINES.replace("\n", "\r\n").encode()),
        ("a.jsonl", LINES.replace("\n", "\r").encode()),
        ("a.jsonl", f"\n \n{LINES.strip()}".encode()),
        ("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)),
        ("a.jsonl.gz", b"".join(gzip.compress(line.encode(), mtime=0) for line in LINES.splitlines(True))),
        ("a.jsonl.zst", pa.compress(LINES.encode(), codec="zstd", asbytes=True)),
        ("a.json", LINES.encode()),
        ("a.json", json.dumps([json.loads(line) for line in LINES.splitlines()], indent=1).encode()),
        ("a.json.gz", gzip.compress(f"[{','.join(LINES.splitlines())}]".encode(), mtime=0)),
        ("a.csv", "problem,answer\ngröße,1\nb,2\n".encode()),
        ("a.csv", 'answer,problem\r\n1,"größe"\r\n\r\n2,b'.encode()),
        ("a.tsv.gz", gzip.compress("problem\tanswer\ngröße\t1\nb\t2\n".encode(), mtime=0)),
        ("br[1]{x}*.jsonl", LINES.encode()),
    ],
)
def test_every_kind_of_file_reads_the_same(tmp_path: Path, name: str, content: bytes):
    write(tmp_path, '{"problem": "another file", "answer": "3"}', "br1xyz.jsonl")
    assert read(write(tmp_path, content, name)) == ROWS


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b"", "a.jsonl holds no rows"),
        ("a.jsonl", b"\n \n", "holds no rows"),
        ("a.json", b"[]", "holds no rows"),
        ("a.json", b" ", "holds no rows"),
        ("a.csv", b"problem,answer\n", "holds no rows"),
        ("a.jsonl", LINES.encode("latin-1"), r"line 1 of .*a.jsonl is not UTF-8 \(byte 0xf6\).*iconv"),
        ("a.jsonl", LINES.encode("utf-16-le"), "line 1 of .* is not UTF-8 .*iconv -f utf-16"),
        ("a.jsonl", '{"problem": 1}'.encode("utf-16-le"), "row 1 of .* no JSON: .*it holds NUL"),
        ("a.jsonl", LINES.encode() + b"\0\0\0", "row 3 of .* no JSON: .*it holds NUL"),
        ("a.jsonl", LINES.encode()[:-20], "row 2 of .*a.jsonl is no JSON"),
        ("a.jsonl", b'{"problem": "a", "answer": 1}\n\n{oh', r"row 2 \(line 3\) of .* is no JSON"),
        ("a.jsonl", b'{\n"problem": "a"}', "row 1 of .* is no JSON"),
        ("a.jsonl", b'["a", "1"]', "row 1 of .* is a list of 2: accepted is an object"),
        ("a.json", b'{"data": [1]}', "row 1 of .* has no field 'problem': it has 'data'"),
        ("a.json", b'{"a" 1}', "is no JSON: .* in line 1, column 6"),
        (
            *("a.jsonl.gz", gzip.compress(LINES.encode(), mtime=0)[:-9]),
            "can't be unpacked as gzip, it is damaged",
        ),
        ("a.jsonl.gz", LINES.encode(), "can't be unpacked as gzip"),
        ("a.jsonl.zst", pa.compress(LINES.encode(), codec="zstd", asbytes=True)[:-3], "unpacked as zstd"),
        ("a.jsonl", gzip.compress(LINES.encode(), mtime=0), "is compressed, which its name does not say"),
        ("a.csv", b"problem,answer\na,b,c\n", r"row 1 \(line 2\) of .* has 3 cells, not the 2"),
        ("a.csv", b"problem,problem\na,b\n", "has two columns 'problem'"),
        ("a.csv", b'problem,answer\n"a,b\n', "row 1 of .*a.csv can't be read: unexpected end of data"),
        ("a.csv", b"problem;answer\na;b\n", "has no field 'problem': it has 'problem;answer'"),
        ("a.parquet", b"PAR1PAR1", "can't be read as Parquet after row 0"),
        ("a.zip", b"PK", r"unknown kind of data file '.*\.zip': accepted are .*\.jsonl\.gz"),
        ("a.parquet.gz", b"", r"unknown kind of data file '.*\.parquet\.gz'"),
        ("rows", b"", "unknown kind of data file '.*rows'"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str):
    with pytest.raises(UserError, match=sentence) as error:
        read(write(tmp_path, content, name))
    assert "\n" not in str(error.value)


def test_a_file_that_fails_to_be_read_is_named(tmp_path: Path):
    broken = tmp_path / "rows.jsonl"
    broken.symlink_to("/proc/self/mem")  # its first page can't be read by anyone
    with pytest.raises(UserError, match=r"data file .*rows\.jsonl can't be read \(Input/output error\)"):
        read(str(broken))


def test_a_file_that_changed_under_the_same_time_is_read_anew(tmp_path: Path):
    for answer in "67":
        path = write(tmp_path, f'{{"problem": "q", "answer": "{answer}"}}')
        os.utime(path, (1e9, 1e9))
        assert read(path) == [("q", answer)]


def test_patterns_only_where_asked_for(tmp_path: Path):
    for name, answer in (("b", "2"), ("a", "1")):
        write(tmp_path, f'{{"problem": "{name}", "answer": "{answer}"}}', f"{name}.jsonl")
    pattern = str(tmp_path / "*.jsonl")
    with pytest.raises(UserError, match=r"there is no data file .* a pattern needs parameters.glob=true"):
        read(pattern)
    assert read(pattern, glob=True) == [("a", "1"), ("b", "2")]
    with pytest.raises(UserError, match="no file matches"):
        read(str(tmp_path / "*.csv"), glob=True)


def test_parquet_has_types_and_they_are_obeyed(tmp_path: Path):
    def column(values: list, kind: pa.DataType) -> list[str]:
        folder = tmp_path / "answer=7"  # no column comes from a folder's name
        folder.mkdir(exist_ok=True)
        questions = [f"q{index}" for index in range(len(values))]
        table = pa.table({"problem": questions, "answer": pa.array(values, kind)})
        pq.write_table(table, folder / "a.parquet")
        return [answer for _, answer in read(str(folder / "a.parquet"))]

    assert column(["2024-01-05", "true"], pa.string()) == ["2024-01-05", "true"]
    assert column([2**63, 2**64 - 1], pa.uint64()) == ["9223372036854775808", "18446744073709551615"]
    assert column([0.1, 27.0], pa.float32()) == ["0.1", "27"]
    assert column([0.1, 1e-7, 27.0], pa.float64()) == ["0.1", "1e-07", "27"]
    assert column([Decimal("27.00"), Decimal("-1.50")], pa.decimal128(5, 2)) == ["27", "-1.50"]
    assert column([["5"]], pa.list_(pa.string())) == ["5"]
    assert column([[0.1], [27.0]], pa.list_(pa.float32())) == ["0.1", "27"]
    for value, kind, sentence in [
        (None, pa.string(), "is empty"),
        (float("nan"), pa.float64(), "is nan, no answer"),
        (float("nan"), pa.float32(), "is nan, no answer"),
        (2.0**60, pa.float64(), "whose last digits its type can't hold"),
        (19_000, pa.date32(), r"is '2022-01-08' \(a date\): write it as a text"),
        (b"6", pa.binary(), "a bytes"),
    ]:
        with pytest.raises(UserError, match=f"row 1 of .*: field 'answer' .*{sentence}"):
            column([value], kind)


def test_an_object_may_hold_its_rows(tmp_path: Path):
    path = write(tmp_path, '{"meta": 1, "data": {"test": [{"problem": "q", "answer": 4}]}}', "a.json")
    assert read(path, records="data.test") == [("q", "4")]
    with pytest.raises(UserError, match="nothing at records=dat: its top is an object with 'meta', 'data'"):
        read(path, records="dat")
    with pytest.raises(UserError, match="records=meta is the number 1: accepted is a list"):
        read(path, records="meta")


def test_suffixes():
    assert kind_of("a/b.v2.jsonl.gz") == (".jsonl", ".gz")
    assert kind_of("a.parquet") == (".parquet", None)


@pytest.mark.parametrize(
    ("mark", "text", "answer"),
    [
        ("####", "48/2 = <<48/2=24>>24\n#### 1,080", "1,080"),
        ("####", "#### 1\nno:\n#### 2 \nafter", "2"),
        ("####", "none", ""),
        (r"answer is\s*", "The answer is 4\nThe answer is  5", "5"),
        (r"<a>(.*?)</a>", "<a>6</a> and <a>7</a>.", "7"),
        ("boxed", r"\boxed{3}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        ("boxed", r"so $x = \boxed 2$.", "2"),
        ("boxed", r"\boxed{1}, or \boxed 9", "9"),
        ("boxed", r"\boxed 9, or \boxed{1}", "1"),
        ("boxed", r"\boxed {5}", "5"),
        ("boxed", r"\boxed{}", ""),
        ("boxed", "none", ""),
    ],
)
def test_where_the_answer_is(mark: str, text: str, answer: str):
    assert answer_after(mark, text) == answer


def test_a_mark_that_is_missing_or_no_pattern(tmp_path: Path):
    assert answers_of_json(tmp_path, '"so\\n#### 7"', answer_after="####") == ["7"]
    with pytest.raises(UserError, match=r"row 1 of .*: field 'answer' has nothing after '####'"):
        answers_of_json(tmp_path, '"7"', answer_after="####")
    with pytest.raises(UserError, match=r"answer_after='\(' is no regular expression"):
        answers_of_json(tmp_path, '"7"', answer_after="(")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"anser_after": "x"}, "unknown key in parameters 'anser_after': .*did you mean answer_after"),
        ({"rows": "7"}, "rows of parameters is '7': accepted is a whole number"),
        ({"rows": True}, "rows of parameters is True: accepted is a whole number"),
        ({"choices": "abc"}, "choices of parameters is 'abc': accepted is a list, as in"),
        ({"fields": {"problem": "q"}}, "parameters.fields has no 'answer'"),
        (
            {"fields": {"problem": 1, "answer": "a"}},
            "fields.problem of parameters is 1: accepted is a text",
        ),
        ({"choices": list("abcdefghij")}, "10 choices: accepted are at most 9"),
    ],
)
def test_parameters_are_checked(tmp_path: Path, parameters: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        read(write(tmp_path, LINES), **parameters)
