"""Tables from run directories, in as few words as tests need them."""

from collections.abc import Iterable
from pathlib import Path

from rlvr.files.run_files import RunFiles
from rlvr.tables.page import TablePage, assemble
from rlvr.tables.runs import finished_runs
from rlvr.tables.spec import TableSpec


def finished(directories: Iterable[Path]) -> list[RunFiles]:
    """The finished ones of some runs."""
    return finished_runs(map(RunFiles, directories))


def page_of(spec: TableSpec, directories: Iterable[Path]) -> TablePage:
    """The page of a table of some runs, its test with few iterations."""
    return assemble(spec, map(RunFiles, directories), iterations=200)
