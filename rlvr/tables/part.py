"""What a table's page is made of: the panels, notes, figures and numbers of each kind of measurement.

A module that measures something besides pass@k has one door, `part`, from a table and its runs to a `Part`;
it is empty where the table does not ask for it or no run has it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Panel:
    """One grid of a table: a line above it, a header, and rows of finished text.

    Attributes:
        averages: places of the columns that sum the others up, which a narrow screen shows first.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    averages: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableFigure:
    """A figure that is drawn only for whoever shows it: drawing takes longer than measuring."""

    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Part:
    """What one kind of measurement adds to a table.

    Attributes:
        figures: by kind, as the end of the file's name.
        numbers: frames by the end of their file's name; "" is the table itself.
    """

    panels: list[Panel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, TableFigure] = field(default_factory=dict)
    numbers: dict[str, pd.DataFrame] = field(default_factory=dict)
