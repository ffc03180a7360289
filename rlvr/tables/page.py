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
    effort_panels,
    figures,
    frontier,
    graded,
    measures,
    panels,
    sweep_figures,
    training_figures,
)
from rlvr.tables.collect import differences, measure, tidy
from rlvr.tables.equal_tokens import equal_tokens_panels
from rlvr.tables.panels import Panel
from rlvr.tables.published import published_table
from rlvr.tables.runs import choice, finished_runs, otherwise, remark, runs_frame
from rlvr.tables.spec import TableSpec, check_spec, table_stem

CAPTIONS = figures.CAPTIONS | sweep_figures.CAPTIONS | training_figures.CAPTIONS | effort_panels.CAPTIONS


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
    rare, rare_differences = rare_part(spec, finished)
    pairs = pd.concat([differences(spec, measured), *rare_differences], ignore_index=True)
    curves = curve_figures(spec, frame, finished)
    parts = [
        Part(panels.measured_panels(spec, frame), panels.notes(spec, frame)),
        Part(numbers={"": frame, "-differences": pairs, "-runs": runs_frame(finished)}),
        graded_part(spec, finished),
        *(curves, effort_part(spec, finished), measures_part(spec, finished), rare),
        frontier_part(spec, frame, finished),
        last_step_part(spec, finished, iterations),
        rates_part(spec, finished),
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
    return Part(figures=_with_captions(draw), numbers=numbers)


def graded_part(spec: TableSpec, runs: list[RunFiles]) -> Part:
    """Mean rewards, where arms have a reward function of their own."""
    if not len(rewards := graded.mean_rewards(spec, runs)):
        return Part()
    return Part([graded.reward_panel(spec, rewards)], [graded.NOTE], numbers={"-reward": rewards})


def effort_part(spec: TableSpec, runs: list[RunFiles]) -> Part:
    """What training cost, and what it cost to be as good as the baseline, where the table asks for it."""
    if not spec.effort:
        return Part()
    checkpoints = effort.curves(runs)
    savings = effort.savings(spec, checkpoints)
    draw = {"validation": lambda: effort_panels.validation_curves(spec, checkpoints)}
    return Part(
        panels=[
            effort_panels.cost_panel(spec, effort.costs(runs)),
            *effort_panels.saving_panels(spec, savings),
        ],
        notes=effort_panels.notes(spec),
        figures=_with_captions(draw) if len(savings) else {},
        numbers={"-training": checkpoints, "-savings": savings},
    )


def measures_part(spec: TableSpec, runs: list[RunFiles]) -> Part:
    """Cover@tau and the other measures of success rates, where the table asks for them."""
    if not spec.measures:
        return Part()
    frame, problems = measures.collect_measures(spec, runs)
    numbers = {"-measures": frame, "-problems": problems}
    return Part(measures.measures_panels(spec, frame, runs), measures.notes(spec), numbers=numbers)


def frontier_part(spec: TableSpec, frame: pd.DataFrame, runs: list[RunFiles]) -> Part:
    """Members of a family against each other, where the table asks for it."""
    if not spec.frontier:
        return Part()
    caption = frontier.CAPTION.format(x=spec.metrics[0], y=spec.metrics[-1])
    return Part(
        panels=equal_tokens_panels(spec, runs),
        figures={"frontier": TableFigure(caption, lambda: frontier.frontier_figure(spec, frame, runs))},
    )


def rates_part(spec: TableSpec, runs: list[RunFiles]) -> Part:
    """The learning rates of each member, where arms differ in it."""
    if not any(arm.rate for arm in spec.arms):
        return Part()
    rates = frontier.rates_frame(spec, runs)
    panel = [frontier.rates_panel(rates)] if len(rates) else []
    return Part(panels=panel, numbers={"-rates": rates})


def last_step_part(spec: TableSpec, runs: list[RunFiles], iterations: int) -> Part:
    """The averages at the last step of every run, where the table asks for it and others could be chosen."""
    if not spec.last_step or all(run.measures_last for run in runs):
        return Part()
    frame = tidy(spec, measure(spec, [run.at_last_step() for run in runs], iterations=iterations))
    return Part(panels=panels.last_step_panels(spec, frame), numbers={"-last-step": frame})


def rare_part(spec: TableSpec, runs: list[RunFiles]) -> tuple[Part, list[pd.DataFrame]]:
    """ΔNLL of rare correct answers where runs measured it, and its differences of arms: one frame or none."""
    frame, pairs = delta_nll.collect_rare(spec, runs)
    if frame.empty:
        return Part(), []
    panel = delta_nll.rare_panel(spec, frame, pairs)
    return Part(panels=[panel], notes=[delta_nll.NOTE], numbers={"-rare": frame}), [pairs]


def _with_captions(draw: dict[str, Callable[[], Figure]]) -> dict[str, TableFigure]:
    return {kind: TableFigure(CAPTIONS[kind], function) for kind, function in draw.items()}
