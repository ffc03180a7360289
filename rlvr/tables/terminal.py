"""What a terminal shows of a table: its averages and differences; the page and the data are in files."""

from collections.abc import Iterable, Sequence
from os.path import commonprefix
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rlvr.errors import printable
from rlvr.evaluation.results import percent
from rlvr.tables.collect import AVERAGE
from rlvr.tables.page import TablePage
from rlvr.tables.panels import difference_text
from rlvr.tables.spec import TableSpec

CELL = len("  100.0±10.0")
NARROW = {"out_of_domain": "Out of\ndomain"}  # four columns and the arms on 80 characters


def print_table(page: TablePage, files: Sequence[Path]) -> None:
    """Print a table's averages as wide as the terminal is, and where everything of it was written."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print(f"{printable(page.spec.title)}\n")
    console.print(averages_grid(page.spec, page.frame, console.width))
    compared = bool((page.frame["baseline"] != "").any())
    marks = "; †↑ and †↓: significant over the noise of sampling" if compared else ""
    console.print(f"\n± is half of a 95 % interval over problems and seeds{marks}.\nWritten:")
    for name in folded(files):
        console.print(f"  {printable(name)}", soft_wrap=True)


def averages_grid(spec: TableSpec, frame: pd.DataFrame, width: int) -> Table:
    """A line an arm with its averages, and under it what it adds to its baseline.

    Args:
        frame: `rlvr.tables.collect.tidy`'s.
        width: of the terminal, in characters; the first and the last metric are shown where there are more
            than it has room for.
    """
    averages = frame[frame["benchmark"] == AVERAGE].set_index(["arm", "group", "metric"])
    metrics = spec.metrics
    label_width = max(len(printable(arm.label)) for arm in spec.arms)
    if label_width + len("  seeds") + CELL * len(spec.columns) * len(metrics) > width:
        metrics = list(dict.fromkeys([metrics[0], metrics[-1]]))
    places = [(group, metric) for group in spec.columns for metric in metrics]
    grid = grid_of_numbers(
        "", "seeds", *(f"{NARROW.get(group, spec.label(group))}\n{metric} %" for group, metric in places)
    )
    room = width - len("  seeds") - CELL * len(places)
    for arm in spec.arms:
        cells = [averages.loc[(arm.name, *place)] for place in places]
        label = printable(arm.label)
        label = label if len(label) <= room else label.replace(", ", ",\n")
        values = (percent(cell.value, cell.low, cell.high, "±") for cell in cells)
        grid.add_row(Text(label), str(max(cell.seeds for cell in cells)), *values)
        if arm.baseline and any(pd.notna(cell.difference) for cell in cells):
            against = f"  − {printable(spec.arm_labels[arm.baseline])}"
            grid.add_row(Text(against, "dim"), "", *(difference_text(cell, "±") for cell in cells))
    return grid


def grid_of_numbers(*heads: str) -> Table:
    """A table without lines, whose first column gives way where the terminal is narrow."""
    numbers = (Column(head, justify="right", no_wrap=True) for head in heads[1:])
    return Table(Column(heads[0], overflow="fold"), *numbers, box=None, pad_edge=False)


def folded(files: Iterable[Path]) -> list[str]:
    """The names of files, those with one ending in one folder as one: results/tables/mine*.csv."""
    stems: dict[tuple[Path, str], list[str]] = {}
    for file in files:
        stems.setdefault((file.parent, file.suffix), []).append(file.stem)
    return [
        f"{folder / commonprefix(found)}{'*' * (len(found) > 1)}{suffix}"  # noqa: RUF071 (stems, no paths)
        for (folder, suffix), found in stems.items()
    ]
