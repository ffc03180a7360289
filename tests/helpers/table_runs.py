"""Tables from run directories, in as few words as tests need them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import measure, tidy
from rlvr.tables.page import TablePage, assemble
from rlvr.tables.runs import finished_runs
from rlvr.tables.spec import TableSpec


def finished(directories: Iterable[Path]) -> list[RunFiles]:
    """The finished ones of some runs."""
    return finished_runs(map(RunFiles, directories))


def collect(spec: TableSpec, runs: Sequence[RunFiles], iterations: int = 50) -> pd.DataFrame:
    """Every number of a table in one frame."""
    return tidy(spec, measure(spec, runs, iterations=iterations))


def page_of(spec: TableSpec, directories: Iterable[Path]) -> TablePage:
    """The page of a table of some runs, its test with few iterations."""
    return assemble(spec, map(RunFiles, directories), iterations=200)
