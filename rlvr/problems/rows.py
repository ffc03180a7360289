"""Rows of a data file, read so that nothing is guessed: a text stays that text, a number its digits.

JSON Lines, JSON, CSV and TSV are UTF-8 (or what a byte order mark says) and may be compressed as .gz or .zst;
Parquet has its own types. Nothing is cached: a file that changed is read anew. What can't be read is one
sentence that names the file and the row.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rlvr.errors import UserError, nearest, unknown

Row = tuple[str, Mapping[str, Any]]  # where it is, for errors ("row 3 of a.jsonl"), and its fields

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
# of longer ones first: UTF-32's mark begins with UTF-16's
BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
JSON_SPACE = " \t\r\n"


class Number(str):
    """A number in the digits of its file: `27.0`, `1e-07`, a whole number of any length."""


class NoNumber(str):
    """NaN or an infinity."""


def read_rows(path: str, *, records: str | None = None) -> Iterator[Row]:
    """The rows of one file, in order; its suffix says how it is written.

    Args:
        path: of an existing file.
        records: where a JSON file that is one object keeps its list of rows: "data", or "data.test".

    Raises:
        UserError: an unknown suffix, a file that can't be read, that is damaged or has no rows.
    """
    kind, compression = kind_of(path)
    rows = READERS[kind](path, compression, records) if kind == ".json" else READERS[kind](path, compression)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise UserError(f"{path} holds no rows: give a file with one problem a row")


def kind_of(path: str) -> tuple[str, str | None]:
    """A file's kind and compression by its suffixes: (".jsonl", ".gz") of "a.jsonl.gz".

    Raises:
        UserError: for a suffix that is not read.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes[-2:]]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else None
    kind = suffixes[-1] if suffixes else ""
    if kind not in READERS or (compression and kind == ".parquet"):
        ending = kind + (compression or "")
        raise unknown("kind of data file", path, FILE_SUFFIXES, nearest(ending, FILE_SUFFIXES))
    return kind, compression


def json_rows(path: str, compression: str | None, records: str | None = None) -> Iterator[Row]:
    """A list of objects, one object that holds such a list as `records`, or an object a line."""
    text = read_text(path, compression)
    try:
        value = parse_json(text, path)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip(JSON_SPACE).startswith("{"):
            yield from lines_of_json(text, path)
            return
        if not text.strip(JSON_SPACE):
            return
        raise UserError(
            f"{path} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    if records is not None:
        for part in records.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise UserError(f"{path} has nothing at records={records}: its top is {described(value)}")
            value = value[part]
        if not isinstance(value, list):
            raise UserError(f"{path}: records={records} is {described(value)}: accepted is a list of rows")
    for number, row in enumerate(value if isinstance(value, list) else [value], 1):
        yield checked_row(f"row {number} of {path}", row)


def jsonl_rows(path: str, compression: str | None) -> Iterator[Row]:
    """An object a line."""
    yield from lines_of_json(read_text(path, compression), path)


def lines_of_json(text: str, path: str) -> Iterator[Row]:
    number = 0
    for line_number, line in enumerate(io.StringIO(text, newline=None), 1):
        if not line.strip(JSON_SPACE):
            continue
        number += 1
        place = f"row {number} " + (f"(line {line_number}) " if line_number != number else "") + f"of {path}"
        try:
            row = parse_json(line, place)
        except json.JSONDecodeError as error:
            nul = "; it holds NUL: cut off, or UTF-16 without a byte order mark" if "\0" in line else ""
            raise UserError(f"{place} is no JSON: {error.msg} (column {error.colno}){nul}") from error
        yield checked_row(place, row)


def checked_row(place: str, row: Any) -> Row:
    if not isinstance(row, Mapping):
        raise UserError(f"{place} is {described(row)}: accepted is an object with named fields")
    return place, row


def separated_rows(path: str, compression: str | None, *, delimiter: str) -> Iterator[Row]:
    """Cells below a line of names; every cell is a text."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(
        io.StringIO(read_text(path, compression), newline=""), delimiter=delimiter, strict=True
    )
    names: list[str] = []
    number = 0
    try:
        for cells in reader:
            if not cells:
                continue
            if not names:
                names = columns_once(cells, path)
                continue
            number += 1
            if len(cells) != len(names):
                raise UserError(
                    f"row {number} (line {reader.line_num}) of {path} has {len(cells)} cells, not the "
                    f"{len(names)} of the first line: put cells with a {delimiter!r} in quotes"
                )
            yield f"row {number} of {path}", dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"row {number + 1} of {path} can't be read: {error}") from error


def columns_once(names: list[str], path: str) -> list[str]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{path} has two columns {twice[0]!r}: give each its own name")
    return names


def parquet_rows(path: str, compression: str | None) -> Iterator[Row]:
    """Rows in Parquet's own types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    del compression
    number = 0
    try:
        # of the one file: a path's "name=value" folders are no columns
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            columns_once(file.schema_arrow.names, path)
            for batch in file.iter_batches(1024):
                for row in arrow_rows(batch):
                    number += 1
                    yield f"row {number} of {path}", row
    except UserError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{path} can't be read as Parquet after row {number}: {first_line(error)}") from error


def arrow_rows(table: Any) -> Iterator[Mapping[str, Any]]:
    """Rows of Arrow's; single precision in its own shortest digits, not those of a double."""
    import pyarrow as pa

    def with_leaves(kind: pa.DataType, leaf: pa.DataType) -> pa.DataType:
        return pa.list_(with_leaves(kind.value_type, leaf)) if pa.types.is_list(kind) else leaf

    columns = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        leaf = column.type
        while pa.types.is_list(leaf):
            leaf = leaf.value_type
        if single := leaf in (pa.float16(), pa.float32()):
            for kind in (pa.float32(), pa.string()):
                column = column.cast(with_leaves(column.type, kind))
        values = column.to_pylist()
        columns[name] = list(map(single_number, values)) if single else values
    for index in range(len(table)):
        yield {name: column[index] for name, column in columns.items()}


def single_number(text: str | list | None) -> Any:
    if isinstance(text, list):
        return list(map(single_number, text))
    if text is None:
        return None
    return Number(text) if text.lstrip("-")[0].isdigit() else NoNumber(text)


READERS: dict[str, Callable[..., Iterator[Row]]] = {
    ".jsonl": jsonl_rows,
    ".json": json_rows,
    ".csv": partial(separated_rows, delimiter=","),
    ".tsv": partial(separated_rows, delimiter="\t"),
    ".parquet": parquet_rows,
}
FILE_SUFFIXES = [
    kind + compression
    for kind in READERS
    for compression in ("", *COMPRESSIONS)
    if not (compression and kind == ".parquet")
]


def read_text(path: str, compression: str | None) -> str:
    """A file's text, decompressed and decoded.

    Raises:
        UserError: a file that can't be read, is damaged, or is not in the encoding it should be in.
    """
    data = read_bytes(path, compression)
    encoding = "utf-8"
    for mark, marked in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], marked
            break
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
            raise UserError(
                f"{path} is compressed, which its name does not say: end it in .gz or .zst"
            ) from error
        line = data.count(b"\n", 0, error.start) + 1
        source = "utf-16" if b"\0" in data else "latin1"
        raise UserError(
            f"line {line} of {path} is not {encoding.upper()} (byte 0x{data[error.start]:02x}): save it as "
            f"UTF-8, as `iconv -f {source} -t utf-8` does if it is {source}"
        ) from error


def read_bytes(path: str, compression: str | None) -> bytes:
    import pyarrow as pa

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"data file {path} can't be read ({error.strerror}): make it readable") from error
    try:
        if compression == ".gz":
            return gzip.decompress(data)
        if compression == ".zst":
            with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
                return stream.read()
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        how = COMPRESSIONS[compression or ""]
        raise UserError(f"{path} can't be unpacked as {how}, it is damaged: {first_line(error)}") from error
    return data


def parse_json(text: str, place: str) -> Any:
    """A JSON text whose numbers are `Number` in their own digits.

    Raises:
        UserError: a field that comes twice, of which one would be lost, or too many brackets.
        json.JSONDecodeError: a text that is no JSON.
    """

    def fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{place} has the field {twice!r} twice: keep one")
        return fields

    try:
        return json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=NoNumber,
            object_pairs_hook=fields_once,
        )
    except RecursionError as error:
        raise UserError(f"{place} has brackets nested too deep to be read") from error


def described(value: Any) -> str:
    """What a value is, for errors: "a list of 3", "an object with 'a', 'b'", "null"."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        names = ", ".join(repr(name) for name in list(value)[:10])
        return f"an object with {names}" if names else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, (Number, NoNumber, int, float)) and not isinstance(value, bool):
        return f"the number {value}" if len(str(value)) < 40 else "a number"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"{str(value)[:40]!r} (a {type(value).__name__})"


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
