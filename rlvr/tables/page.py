"""A table assembled from its runs, once: Markdown, LaTeX, CSV and the HTML report only render it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain

import pandas as pd
from matplotlib.figure import Figure

from rlvr.errors import UserError
from rlvr.evaluation.significance import ITERATIONS
from rlvr.files.run_files import RunFiles
from rlvr.tables import (
    delta_nll,
    effort,
    figures,
    frontier,
    graded,
    measures,
    panels,
    rates,
    sweep_figures,
    training_figures,
)
from rlvr.tables.collect import differences, measure, tidy
from rlvr.tables.part import Panel, Part, TableFigure
from rlvr.tables.published import published_table
from rlvr.tables.runs import choice, finished_runs, otherwise, remark, runs_frame
from rlvr.tables.spec import TableSpec, check_spec, table_stem

CAPTIONS = figures.CAPTIONS | sweep_figures.CAPTIONS | training_figures.CAPTIONS


@dataclass(frozen=True)
class TablePage(Part):
    """A whole table, ready to be rendered.

    Attributes:
        facts: where the numbers come from, and how to make them again.
        published: the papers' printed numbers; empty where the table names none.
    """

    spec: TableSpec = field(default_factory=TableSpec)
    scale: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    published: list[Panel] = field(default_factory=list)
    published_caption: str = ""

    @property
    def stem(self) -> str:
        """How the names of the table's files begin."""
        return table_stem(self.spec.name, self.scale)

    @property
    def frame(self) -> pd.DataFrame:
        """Every pass@k of the table; see `rlvr.tables.collect.tidy`."""
        return self.numbers[""]


def assemble(spec: TableSpec, runs: Iterable[RunFiles], *, iterations: int = ITERATIONS) -> TablePage:
    """The page of a table; what did not run is shown as not run.

    Args:
        runs: in any order, finished or not.
        iterations: of the significance test.

    Raises:
        UserError: if no run is finished, or the runs don't belong together or to the table.
    """
    check_spec(spec)
    finished = finished_runs(runs)
    if not finished:
        raise UserError(f"table {spec.name} has no finished run: run one of its arms first")
    measured = measure(spec, finished, iterations=iterations)
    frame = tidy(spec, measured)
    rare, rare_differences = delta_nll.part(spec, finished)
    pairs = pd.concat([differences(spec, measured), *rare_differences], ignore_index=True)
    parts = [
        Part(panels.measured_panels(spec, frame), panels.notes(spec, frame)),
        Part(numbers={"": frame, "-differences": pairs, "-runs": runs_frame(finished)}),
        graded.part(spec, finished),
        curve_figures(spec, frame, finished),
        effort.part(spec, finished),
        measures.part(spec, finished),
        rare,
        frontier.part(spec, frame, finished),
        last_step_part(spec, finished, iterations),
        rates.part(spec, finished),
    ]
    printed, caption = [], ""
    if source := spec.published:
        published = published_table(source.file, source.table, source.model)
        printed = panels.published_panels(spec, published)
        caption = panels.published_caption(spec, published)
    return TablePage(
        panels=[panel for part in parts for panel in part.panels],
        notes=[note for part in parts for note in part.notes]
        + [note for note in run_notes(spec, finished) if note],
        figures={kind: figure for part in parts for kind, figure in part.figures.items()},
        numbers={name: numbers for part in parts for name, numbers in part.numbers.items()},
        spec=spec,
        scale=finished[0].scale,
        facts=panels.facts(spec, frame, finished, finished[0].scale),
        published=printed,
        published_caption=caption,
    )


def run_notes(spec: TableSpec, runs: list[RunFiles]) -> list[str]:
    """What is to be said of the runs; "" where there is nothing."""
    return [
        choice(spec, runs),
        otherwise(runs, chain.from_iterable(spec.columns.values())),
        *map(remark, runs),
    ]


def curve_figures(spec: TableSpec, frame: pd.DataFrame, runs: list[RunFiles]) -> Part:
    """The figures that a table asks for, of those that its numbers allow; without arms at other rates."""
    hidden = {arm.name for arm in spec.arms if arm.times}
    spec = replace(spec, arms=[arm for arm in spec.arms if arm.name not in hidden])
    frame, drawn = frame[~frame["arm"].isin(hidden)], [run for run in runs if run.arm not in hidden]
    draw: dict[str, Callable[[], Figure]] = {}
    numbers: dict[str, pd.DataFrame] = {}
    several_ks = frame["k"].nunique() > 1
    if "pass-at-k" in spec.figures and several_ks:
        draw["pass-at-k"] = lambda: figures.pass_at_k_curves(spec, frame)
    if "difference" in spec.figures and several_ks and frame["difference"].notna().any():
        draw["difference"] = lambda: figures.difference_curves(spec, frame)
    if "group-size" in spec.figures:
        draw["group-size"] = lambda: sweep_figures.group_size_curves(spec, frame)
    if "training" in spec.figures:
        curves = numbers["-training-curves"] = training_figures.training_frame(runs)
        draw["training"] = lambda: training_figures.training_curves(spec, curves)
    if spec.sweep:
        draw["sweep"] = lambda: sweep_figures.sweep_curves(spec, frame)
    if spec.dynamics:
        draw["dynamics"] = lambda: training_figures.dynamics_curves(spec, drawn)
    if spec.entropy and len(points := training_figures.entropy_points(spec, drawn)):
        draw["entropy"] = lambda: training_figures.entropy_scatter(spec, points)
    captioned = {kind: TableFigure(CAPTIONS[kind], function) for kind, function in draw.items()}
    return Part(figures=captioned, numbers=numbers)


def last_step_part(spec: TableSpec, runs: list[RunFiles], iterations: int) -> Part:
    """The averages at the last step of every run, where the table asks for it and others could be chosen."""
    if not spec.last_step or all(run.measures_last for run in runs):
        return Part()
    frame = tidy(spec, measure(spec, [run.at_last_step() for run in runs], iterations=iterations))
    return Part(panels=panels.last_step_panels(spec, frame), numbers={"-last-step": frame})
