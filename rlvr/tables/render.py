"""From the tidy frame of a table to Markdown and LaTeX. Pure text: the same numbers give the same bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rlvr.evaluation.significance import ALPHA, ITERATIONS, SUBSAMPLE
from rlvr.tables.collect import AVERAGE
from rlvr.tables.published import Published
from rlvr.tables.runs import Run
from rlvr.tables.spec import arm_label, label

LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "_": r"\_",
        "#": r"\#",
        "±": r"$\pm$",
        "−": "$-$",
        "†": r"$^\dagger$",
        "↑": r"$^\uparrow$",
        "↓": r"$^\downarrow$",
        "α": r"$\alpha$",
        "γ": r"$\gamma$",
        "Δ": r"$\Delta$",
        "λ": r"$\lambda$",
        "<": "$<$",
        "–": "--",
        "`": "",
    }
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One grid of a table: a line above it, a header, and rows of finished text."""

    title: str
    header: list[str]
    rows: list[list[str]]


def measured_panels(spec: dict[str, Any], frame: pd.DataFrame) -> list[Panel]:
    """For each metric the arms' values, then focal minus baseline."""
    columns = frame[["group", "benchmark"]].drop_duplicates().itertuples(index=False, name=None)
    # a benchmark that is alone in its group is its average too
    alone = {group for group, benchmarks in spec["columns"].items() if len(benchmarks) == 1}
    columns = [(group, name) for group, name in columns if name != AVERAGE or group not in alone]
    heads = [_column_head(spec, group, benchmark) for group, benchmark in columns]
    cells = frame.set_index(["metric", "arm", "group", "benchmark"])
    panels = []
    for metric in spec["metrics"]:
        values, differences = [], []
        for arm in spec["arms"]:
            row = [cells.loc[(metric, arm["name"], *column)] for column in columns]
            seeds = max(cell.seeds for cell in row)
            values.append([arm_label(arm), str(seeds), *map(_value, row)])
            if baseline := arm.get("baseline"):
                against = next(arm_label(other) for other in spec["arms"] if other["name"] == baseline)
                differences.append([f"{arm_label(arm)} − {against}", *map(_difference, row)])
        panels.append(Panel(f"{metric}, %", ["", "seeds", *heads], values))
        if any(text != "–" for row in differences for text in row[1:]):
            panels.append(Panel(f"{metric}, difference in percentage points", ["", *heads], differences))
    return panels


def published_panels(spec: dict[str, Any], published: Published) -> list[Panel]:
    """The printed numbers, a panel a metric, rows and columns in the paper's order."""
    rows = published.rows
    keys = [name for name in rows if name not in ("benchmark", "metric", "value")]
    panels = []
    for metric in rows["metric"].unique():
        of_metric = rows[rows["metric"] == metric]
        grid = of_metric.set_index([*keys, "benchmark"])["value"].unstack(sort=False).fillna("")
        body = [[*np.atleast_1d(key), *line] for key, line in zip(grid.index, grid.to_numpy(), strict=True)]
        header = [*(key.replace("_", " ") for key in keys), *(label(spec, name) for name in grid)]
        panels.append(Panel(f"{metric}, %" if "@" in metric else metric, header, body))
    return panels


def facts(spec: dict[str, Any], frame: pd.DataFrame, runs: Sequence[Run], scale: str) -> dict[str, str]:
    """Where the numbers come from, and how to make them again."""
    seeds = frame.groupby("arm", sort=False)["seeds"].max()
    repeat = ",".join(map(str, sorted({run.seed for run in runs})))
    return {
        "Scale": scale,
        "Seeds": ", ".join(f"{arm_label(arm)} {seeds[arm['name']] or 'not run'}" for arm in spec["arms"]),
        "Commit": ", ".join(sorted({run.commit for run in runs})) or "none",
        "Time": f"{duration(sum(run.seconds for run in runs))}, summed over {len(runs)} runs",
        "Repeat": f"`make reproduce-table TABLE={spec['name']} SCALE={scale} SEEDS={repeat}`",
    }


def notes(spec: dict[str, Any], frame: pd.DataFrame) -> list[str]:
    """How to read the measured numbers, and what is not in them."""
    shown = frame[frame["metric"].isin(spec["metrics"]) & (frame["benchmark"] != AVERAGE)]
    lines = [
        "Cells: mean over training seeds ± half the width of its 95 % interval, bootstrapped over problems "
        "and seeds. One seed alone says nothing about the noise of training. Averages are unweighted over "
        "benchmarks.",
    ]
    if (shown["baseline"] != "").any():
        lines.append(
            f"†↑ and †↓: significantly above and below the baseline (α = {ALPHA:.2f}, two-sided, paired "
            f"subsampling of up to {SUBSAMPLE} samples a problem, {ITERATIONS:,} iterations). This covers "
            "the noise of sampling only: beside an interval that holds 0 it says that these runs differ, "
            "not that the methods do. It is not corrected for the number of cells."
        )
    untested = shown[shown["difference"].notna() & shown["p_value"].isna()]
    if metrics := ", ".join(untested["metric"].unique()):
        lines.append(f"Not tested, since it takes 2k samples of each problem: {metrics}.")
    run = shown[shown["seeds"] > 0]
    size = run.drop_duplicates("benchmark").assign(
        name=lambda rows: [label(spec, b) for b in rows["benchmark"]]
    )
    sizes = (f"{row.name} ({row.problems} x {row.samples:,})" for row in size.itertuples(index=False))
    lines.append(f"Problems x samples: {', '.join(sizes)}.")
    size = size[size["left_out"] > 0]
    if left_out := ", ".join(f"{row.name} {row.left_out}" for row in size.itertuples(index=False)):
        lines.append(
            f"Problems left out for all arms, with too few scorable samples in some run: {left_out}."
        )
    lost = run.drop_duplicates(["arm", "benchmark"]).groupby("label", sort=False)["unscorable"].sum()
    if lost := ", ".join(f"{name} {count:,}" for name, count in lost[lost > 0].items()):
        lines.append(f"Samples that could not be scored, left out of n: {lost}.")
    return lines


def markdown(
    spec: dict[str, Any],
    facts: dict[str, str],
    measured: Sequence[Panel],
    notes: Sequence[str],
    figures: dict[str, str],
    published: Published | None,
) -> str:
    """The whole page; `figures` maps paths relative to it to captions."""
    blocks = [f"# {spec['title']}", "\n".join(f"- {name}: {text}" for name, text in facts.items())]
    blocks.append("## Measured")
    blocks += [_markdown_panel(panel) for panel in measured]
    blocks.append("\n".join(f"- {note}" for note in notes))
    blocks += [f"![{caption}]({path})\n\n{caption}" for path, caption in figures.items()]
    if published:
        blocks.append("## Published")
        blocks.append(published_caption(spec, published))
        blocks += [_markdown_panel(panel) for panel in published_panels(spec, published)]
    return "\n\n".join(blocks) + "\n"


def latex(
    spec: dict[str, Any],
    facts: dict[str, str],
    measured: Sequence[Panel],
    notes: Sequence[str],
    published: Published | None,
) -> str:
    """The tables for a paper, measured and published apart; needs booktabs and graphicx."""
    sources = " ".join(f"{name}: {text}." for name, text in facts.items())
    blocks = [_latex_table(measured, f"{spec['title']}. {' '.join(notes)} {sources}")]
    if published:
        blocks.append(_latex_table(published_panels(spec, published), published_caption(spec, published)))
    return "\n".join(blocks)


def _column_head(spec: dict[str, Any], group: str, benchmark: str) -> str:
    return f"{label(spec, group)} avg." if benchmark == AVERAGE else label(spec, benchmark)


def published_caption(spec: dict[str, Any], published: Published) -> str:
    setting = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in published.setting.items())
    note = spec["published"].get("note")
    return f"{published.paper}, Table {published.table}: {setting}" + (f"; {note}." if note else ".")


def _value(cell: pd.Series) -> str:
    if not cell.seeds:
        return "not run"
    if np.isnan(cell.value):
        return f"n < {cell.k}"
    return f"{_percent(cell.value)} ± {_percent((cell.high - cell.low) / 2)}{_mark(cell)}"


def _difference(cell: pd.Series) -> str:
    if np.isnan(cell.difference):
        return "–"
    half_width = (cell.difference_high - cell.difference_low) / 2
    return f"{_percent(cell.difference, '+')} ± {_percent(half_width)}{_mark(cell)}"


def _mark(cell: pd.Series) -> str:
    if cell.significant is pd.NA or not cell.significant:
        return ""
    return " †↑" if cell.difference > 0 else " †↓"


def _percent(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}z.1f}".replace("-", "−")


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _markdown_panel(panel: Panel) -> str:
    widths = [max(map(len, column)) for column in zip(panel.header, *panel.rows, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in [panel.header, ["-" * width for width in widths], *panel.rows]
    ]
    return f"**{panel.title}**\n\n" + "\n".join(lines)


def _latex_table(panels: Sequence[Panel], caption: str) -> str:
    lines = [r"\begin{table*}", r"\centering", r"\small"]
    for panel in panels:
        columns = "l" * len(panel.header)
        lines += [rf"\textbf{{{panel.title.translate(LATEX)}}}\\[2pt]", r"\resizebox{\textwidth}{!}{%"]
        lines += [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule"]
        header, *rows = map(_latex_row, [panel.header, *panel.rows])
        lines += [header, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}}\\[6pt]"]
    return "\n".join([*lines, rf"\caption{{{caption.translate(LATEX)}}}", r"\end{table*}", ""])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in cells) + r" \\"
