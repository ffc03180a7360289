"""Where a data set is: a file of one's own, a folder of files, an address, or the hub."""

import glob
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rlvr.errors import NotHere, UserError
from rlvr.files.hub import PATH_KEY, download, reachable
from rlvr.problems.rows import FILE_SUFFIXES, Row, arrow_rows, first_line, kind_of, read_rows


def file_in_root(root: str, name: str) -> str | None:
    """The file of a known data set in a folder of data files: <root>/<name>.jsonl, .jsonl.gz, .parquet, ...

    Raises:
        UserError: when there is no such folder, or it holds two files of that name.
    """
    folder = Path(os.path.expanduser(root))
    if not folder.is_dir():
        raise UserError(f"there is no folder {root}: give one with data files as data.root=, or leave it out")
    found = [file for suffix in FILE_SUFFIXES if (file := folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise UserError(f"data.root={root} has both {found[0].name} and {found[1].name}: keep one of them")
    return str(found[0]) if found else None


def rows_at(path: str, *, name: str | None, pattern: bool, records: str | None) -> Iterator[Row]:
    """The rows of a file, an address (https://...) or, where `pattern` says so, of all files that match.

    Args:
        name: of a known data set's file in a folder of data files, else None.

    Raises:
        UserError: no such file.
    """
    if path.startswith("https://"):
        kind_of(urlsplit(path).path)  # before anything is fetched
        yield from read_rows(str(download(path, name)), records=records)
        return
    path = os.path.expanduser(path)
    if pattern:
        files = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
        if not files:
            raise UserError(f"no file matches path={path}: give a pattern such as 'shards/*.jsonl'")
        for file in files:
            yield from read_rows(file, records=records)
        return
    if os.path.isdir(path):
        raise UserError(
            f"{path} is a folder: give a file in it as {PATH_KEY}, or a pattern with parameters.glob=true"
        )
    kind_of(path)
    if not os.path.isfile(path):
        hint = "; a pattern needs parameters.glob=true" if glob.has_magic(path) else ""
        raise UserError(
            f"there is no data file {path}: give a JSONL, JSON, CSV or Parquet file as {PATH_KEY}{hint}"
        )
    yield from read_rows(path, records=records)


def hub_rows(hub: str, subset: str | None, split: str, revision: str | None) -> Iterator[Row]:
    """The rows of a data set on the hub, or of its copy in the hub's cache, in the types of its Arrow files.

    Raises:
        UserError: when it is on neither (`NotHere` where there is no network), or can't be read.
    """
    import datasets  # half a second and much memory, which the verifier's processes do without

    datasets.disable_progress_bars()
    cached = Path(datasets.config.HF_DATASETS_CACHE) / hub.replace("/", "___")
    if not cached.exists() and not reachable():
        raise NotHere(
            f"data set {hub!r} is not on this machine and the hub can't be reached: fetch it where there "
            f"is a network with `hf download --repo-type dataset {hub}`, and give its JSONL or Parquet "
            f"file as {PATH_KEY}, or the folder of all such files as data.root="
        )
    try:
        table: Any = datasets.load_dataset(hub, subset, split=split, revision=revision)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:  # not found, not allowed, ...
        raise UserError(f"data set {hub!r} can't be read: {first_line(error)}") from error
    batches = table.with_format("arrow").iter(1024)
    for number, row in enumerate(chain.from_iterable(map(arrow_rows, batches)), 1):
        yield f"row {number} of {hub}", row
