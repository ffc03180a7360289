"""From runs to one HTML file, and to a table that no file describes, as `rlvr table` makes it.

Nothing that a policy wrote gets into the page's markup: data is JSON in a script element that browsers do
not run, with `<`, `>` and `&` escaped, and the page's own script puts it on the screen as text. The
content security policy lets no script run but that one, by its digest, and no request leave.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rlvr import __version__
from rlvr.errors import UserError
from rlvr.evaluation.significance import ITERATIONS
from rlvr.files.atomic import write_whole
from rlvr.files.run_files import RunFiles
from rlvr.report.curves import learning_curves, passk_curves
from rlvr.report.provenance import common_facts, run_facts
from rlvr.report.samples import evaluation_samples
from rlvr.report.sources import find_runs, table_of
from rlvr.report.training_groups import training_groups
from rlvr.tables.adhoc import Wish, check_seeds, chosen, file_of, table_of_runs
from rlvr.tables.names import tables
from rlvr.tables.page import TablePage, assemble
from rlvr.tables.spec import TableSpec
from rlvr.tables.write import write_table

PAGE = Path(__file__).parent / "page"
SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "page.js",
    "charts.js",
    "curves.js",
    "frontier.js",
    "forgotten.js",
    "completions.js",
)
STYLES = ("vendor/uPlot.min.css", "page.css")
ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


def write_report(
    runs: Sequence[RunFiles],
    file: Path,
    *,
    table: TablePage | None = None,
    iterations: int = ITERATIONS,
) -> Path:
    """Write the report of some runs of one experiment (see `find_runs`), at whatever stage they are.

    Args:
        file: where it goes.
        table: the assembled table that the runs are to be shown as; None: that of their experiment, as far
            as runs are finished.
        iterations: of that table's significance test.

    Returns:
        `file`.
    """
    spec = table.spec if table else table_of(runs)
    if table is None and any(run.finished for run in runs):
        table = assemble(spec, runs, iterations=iterations)
    write_whole(file, render_page(runs, spec, table))
    return file


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


def render_page(runs: Sequence[RunFiles], spec: TableSpec, table: TablePage | None) -> str:
    """The whole page; without a table where no run is finished."""
    labels = spec.arm_labels
    runs = sorted(runs, key=lambda run: list(labels).index(run.arm))
    facts = dict(table.facts) if table else {}
    if not (spec.repeat or spec.name in tables()):
        facts.pop("Repeat", None)  # it names a command that knows the tables of `experiments/` only
    data = page_data(runs, spec, table)
    script = "\n".join((PAGE / name).read_text() for name in SCRIPTS)
    style = "\n".join((PAGE / name).read_text() for name in STYLES)
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        title=spec.title,
        experiment=runs[0].config.experiment,
        version=__version__,
        runs=[run_facts(run, labels) for run in runs],
        common=common_facts(runs),
        unfinished=sum(not run.finished for run in runs),
        table=table,
        facts=facts,
        data=as_json(data),
        has_frontier=any(len(a["k"]) > 1 for entry in data["passk"] for a in entry["arms"].values()),
        script=script,
        style=style,
        script_digest=csp_hash(script),
        style_digest=csp_hash(style),
    )


def page_data(runs: Sequence[RunFiles], spec: TableSpec, table: TablePage | None) -> dict[str, Any]:
    """What the page's script draws: curves, samples of the evaluation, and groups of the training."""
    untrained = {run.arm for run in runs if not run.trains}
    data: dict[str, Any] = {
        "arms": [
            {
                "name": arm.name,
                "label": arm.label,
                "baseline": arm.baseline,
                "before": arm.name in untrained,
                "line": arm.member or arm.series,
                "place": arm.x if arm.strength is None else arm.strength,
                "rate": arm.rate,
            }
            for arm in spec.arms
        ],
        "passk": [],
        "learning": learning_curves(runs),
        "benchmarks": [],
        "groups": training_groups(runs),
    }
    if table:
        data["passk"] = passk_curves(spec, table.frame)
        names = [name for group in spec.columns.values() for name in group]
        data["benchmarks"] = [
            {"name": name, "label": spec.label(name), **samples}
            for name, samples in evaluation_samples(runs, names).items()
        ]
    return data


def as_json(data: Any) -> str:
    """JSON that can stand inside a script element, whatever its strings hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # a lone surrogate can't be written as UTF-8
    return text.translate(ESCAPES).encode("utf-8", "replace").decode("utf-8")


def csp_hash(content: str) -> str:
    """A source of the content security policy: the inline element with exactly this content."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
