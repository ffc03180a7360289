"""All files of a table that no file describes: any folder of runs, as `rlvr table` takes it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlvr.errors import UserError
from rlvr.evaluation.significance import ITERATIONS
from rlvr.files.atomic import write_whole
from rlvr.report.sources import find_runs
from rlvr.report.write import write_report
from rlvr.tables.adhoc import Wish, check_seeds, chosen, file_of, table_of_runs
from rlvr.tables.page import TablePage, assemble
from rlvr.tables.write import write_table


def write_table_of_runs(
    folder: Path,
    wish: Wish,
    selection: Mapping[str, Sequence[Any]],
    results: Path,
    *,
    file: Path | None = None,
    iterations: int = ITERATIONS,
) -> tuple[TablePage, list[Path]]:
    """Write the table of the runs below a folder, its figures, and the report.

    Args:
        selection: {key: values} that runs are to have.
        results: `tables`, `figures` and `reports` are written below it.
        file: where the table is written as one of `experiments/`, which is never written over.
        iterations: of the significance test.

    Returns:
        The table, and its files: the page first, the report last.

    Raises:
        UserError: where no run is evaluated, or the runs don't make one table; it names the key to choose by.
    """
    if file and file.exists():
        raise UserError(f"{file} is there already: remove it, or give file= another name")
    runs = chosen(find_runs(folder), selection)
    finished = [run for run in runs if run.finished]
    if not finished:
        raise UserError(
            f"none of {len(runs)} runs in {folder} is evaluated: "
            f"`rlvr evaluate run={runs[0].directory}` does one"
        )
    if len(scales := sorted({run.config.scale.name for run in runs})) > 1:
        raise UserError(
            f"{folder} holds runs of the scales {', '.join(scales)}, and a table is of one: choose with "
            f"scale={scales[0]}"
        )
    check_seeds(finished)
    page = assemble(table_of_runs(runs, wish), finished, iterations=iterations)
    files = write_table(page, results)
    if file:
        write_whole(file, file_of(page.spec, runs[0].config.experiment))
        files.append(file)
    return page, [*files, write_report(runs, results / "reports" / f"{page.stem}.html", table=page)]
