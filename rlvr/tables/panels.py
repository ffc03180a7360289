"""The text of a table's panels: from numbers to finished cells, and the sentences on how to read them.

Pure text: the same numbers give the same bytes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rlvr.evaluation.results import give_or_take
from rlvr.evaluation.significance import ALPHA, ITERATIONS, SUBSAMPLE
from rlvr.files.run_files import RunFiles
from rlvr.tables.collect import AVERAGE, LEFT_OUT
from rlvr.tables.part import Panel
from rlvr.tables.published import Published
from rlvr.tables.spec import TableSpec


def measured_panels(spec: TableSpec, frame: pd.DataFrame) -> list[Panel]:
    """For each metric the arms' values, then focal minus baseline."""
    columns = frame[["group", "benchmark"]].drop_duplicates().itertuples(index=False, name=None)
    # a benchmark that is alone in its group is its average too
    alone = {group for group, benchmarks in spec.columns.items() if len(benchmarks) == 1}
    columns = [(group, name) for group, name in columns if name != AVERAGE or group not in alone]
    heads = [f"{spec.label(group)} avg." if name == AVERAGE else spec.label(name) for group, name in columns]
    averages = tuple(i for i, (group, name) in enumerate(columns) if name == AVERAGE or group in alone)
    cells = frame.set_index(["metric", "arm", "group", "benchmark"])
    panels = []
    for metric in spec.metrics:
        values, differences = [], []
        for arm in spec.arms:
            row = [cells.loc[(metric, arm.name, *column)] for column in columns]
            seeds = max(cell.seeds for cell in row)
            values.append([arm.label, str(seeds), *map(value_text, row)])
            if arm.baseline:
                against = spec.arm_labels[arm.baseline]
                differences.append([f"{arm.label} − {against}", *map(difference_text, row)])
        panels.append(Panel(f"{metric}, %", ["", "seeds", *heads], values, tuple(i + 2 for i in averages)))
        if any(text != "–" for row in differences for text in row[1:]):
            title, places = f"{metric}, difference in percentage points", tuple(i + 1 for i in averages)
            panels.append(Panel(title, ["", *heads], differences, places))
    return panels


def last_step_panels(spec: TableSpec, frame: pd.DataFrame) -> list[Panel]:
    """The averages of each metric at the last step, and under each arm its difference to the baseline."""
    averages = frame[frame["benchmark"] == AVERAGE].set_index(["metric", "group", "arm"])
    columns = [(metric, group) for group in spec.columns for metric in spec.metrics]
    rows = []
    for arm in spec.arms:
        cells = [averages.loc[(*column, arm.name)] for column in columns]
        rows.append([arm.label, str(max(cell.seeds for cell in cells)), *map(value_text, cells)])
        if arm.baseline:
            label = f"{arm.label} − {spec.arm_labels[arm.baseline]}"
            rows.append([label, "", *map(difference_text, cells)])
    heads = [f"{spec.label(group)} {metric}" for metric, group in columns]
    return [
        Panel("At the last step instead of the chosen checkpoint: averages, %", ["", "seeds", *heads], rows)
    ]


def published_panels(spec: TableSpec, published: Published) -> list[Panel]:
    """The printed numbers, a panel a metric, rows and columns in the paper's order."""
    rows = published.rows
    keys = [name for name in rows if name not in ("benchmark", "metric", "value")]
    panels = []
    for metric in rows["metric"].unique():
        printed = rows[rows["metric"] == metric]
        grid = printed.set_index([*keys, "benchmark"])["value"].unstack(sort=False).fillna("")
        body = [[*np.atleast_1d(key), *line] for key, line in zip(grid.index, grid.to_numpy(), strict=True)]
        header = [*(key.replace("_", " ") for key in keys), *(spec.label(name) for name in grid)]
        panels.append(Panel(f"{metric}, %" if "@" in metric else metric, header, body))
    return panels


def facts(spec: TableSpec, frame: pd.DataFrame, runs: Sequence[RunFiles], scale: str) -> dict[str, str]:
    """Where the numbers come from, and how to make them again."""
    seeds = frame.groupby("arm", sort=False)["seeds"].max()
    repeat = ",".join(map(str, sorted({run.seed for run in runs})))
    between, colon = ("; ", ":") if any("," in arm.label for arm in spec.arms) else (", ", "")
    again = spec.repeat or f"make reproduce-table TABLE={spec.name} SCALE={scale} SEEDS={repeat}"
    return {
        "Scale": scale,
        "Seeds": between.join(f"{arm.label}{colon} {seeds[arm.name] or 'not run'}" for arm in spec.arms),
        "Commit": ", ".join(sorted({run.commit for run in runs})) or "none",
        "Time": f"{duration(sum(run.seconds for run in runs))}, summed over {len(runs)} runs",
        "Repeat": f"`{again}`",
    }


def notes(spec: TableSpec, frame: pd.DataFrame) -> list[str]:
    """How to read the measured numbers, and what is not in them."""
    shown = frame[frame["metric"].isin(spec.metrics) & (frame["benchmark"] != AVERAGE)]
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
        name=lambda rows: [spec.label(b) for b in rows["benchmark"]]
    )
    sizes = (f"{row.name} ({row.problems} x {row.samples:,})" for row in size.itertuples(index=False))
    lines.append(f"Problems x samples: {', '.join(sizes)}.")
    size = size[size["left_out"] > 0]
    if left_out := ", ".join(f"{row.name} {row.left_out}" for row in size.itertuples(index=False)):
        lines.append(
            f"Problems left out for all arms, with too few scorable samples in some run: {left_out}."
        )
    way = run[run["value"].isna() & (run["k"] <= run["samples"])].drop_duplicates(["benchmark", "metric"])
    if given_up := ", ".join(
        f"{spec.label(row.benchmark)} {row.metric}" for row in way.itertuples(index=False)
    ):
        lines.append(
            f"Not measured, since more than {100 * LEFT_OUT:g} % of the problems lack as many scorable "
            f"samples in some run: {given_up}."
        )
    lost = run.drop_duplicates(["arm", "benchmark"]).groupby("label", sort=False)["unscorable"].sum()
    if lost := ", ".join(f"{name} {count:,}" for name, count in lost[lost > 0].items()):
        lines.append(f"Samples that could not be scored, left out of n: {lost}.")
    return lines


def published_caption(spec: TableSpec, published: Published) -> str:
    """Paper, table and setting of printed numbers, and how the setting differs from ours."""
    setting = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in published.setting.items())
    note = spec.published.note if spec.published else None
    return f"{published.paper}, Table {published.table}: {setting}" + (f"; {note}." if note else ".")


def value_text(cell: pd.Series) -> str:
    """A row of a table's frame as its cell: "12.5 ± 3.1 †↑"."""
    if not cell.seeds:
        return "not run"
    if np.isnan(cell.value):
        return f"n < {cell.k}"
    half_width = (cell.high - cell.low) / 2
    return f"{_percent(cell.value)}{give_or_take(half_width, _percent(half_width))}{_mark(cell)}"


def difference_text(cell: pd.Series, between: str = " ± ") -> str:
    """What a row's arm adds to its baseline, in points."""
    if np.isnan(cell.difference):
        return "–"
    half_width = (cell.difference_high - cell.difference_low) / 2
    width = give_or_take(half_width, _percent(half_width), between)
    return f"{_percent(cell.difference, '+')}{width}{_mark(cell)}"


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
