"""From runs to one HTML file.

Nothing that a policy wrote gets into the page's markup: data is JSON in a script element that browsers do
not run, with `<`, `>` and `&` escaped, and the page's own script puts it on the screen as text. The
content security policy lets no script run but that one, by its digest, and no request leave.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rlvr import __version__
from rlvr.evaluation.significance import ITERATIONS
from rlvr.files.atomic import write_whole
from rlvr.report.curves import learning_curves, passk_curves
from rlvr.report.provenance import common_facts, run_facts
from rlvr.report.rollouts import training_groups
from rlvr.report.samples import evaluation_samples
from rlvr.report.sources import ReportedRun, is_table, table_of
from rlvr.tables import effort, effort_panels, render
from rlvr.tables.collect import collect
from rlvr.tables.published import published_table
from rlvr.tables.runs import finished_runs
from rlvr.tables.spec import arm_label, label

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("vendor/uPlot.iife.min.js", "page.js", "charts.js", "curves.js", "forgotten.js", "completions.js")
STYLES = ("vendor/uPlot.min.css", "page.css")
ESCAPES = str.maketrans(
    {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
)


def write_report(
    runs: Sequence[ReportedRun],
    file: Path,
    *,
    spec: dict[str, Any] | None = None,
    iterations: int = ITERATIONS,
) -> Path:
    """Write the report of some runs of one experiment (see `find_runs`), at whatever stage they are.

    Args:
        file: where it goes.
        spec: the table that the runs are to be shown as (`rlvr.tables.spec`); None: their experiment's.
        iterations: of the table's significance test.

    Returns:
        `file`.
    """
    write_whole(file, render_page(runs, spec or table_of(runs), iterations=iterations))
    return file


def render_page(runs: Sequence[ReportedRun], spec: dict[str, Any], *, iterations: int) -> str:
    """The whole page."""
    labels = {arm["name"]: arm_label(arm) for arm in spec["arms"]}
    runs = sorted(runs, key=lambda run: list(labels).index(run.arm))
    data: dict[str, Any] = {
        "arms": [
            {
                "name": arm["name"],
                "label": arm_label(arm),
                "baseline": arm.get("baseline"),
                "before": any(run.arm == arm["name"] and not run.trained for run in runs),
            }
            for arm in spec["arms"]
        ],
        "passk": [],
        "learning": learning_curves(runs),
        "benchmarks": [],
        "groups": training_groups(runs),
    }
    table = None
    if finished := [run.directory for run in runs if run.finished]:
        table = measured_table(spec, finished, data, iterations)
        names = [name for group in spec["columns"].values() for name in group]
        data["benchmarks"] = [
            {"name": name, "label": label(spec, name), **samples}
            for name, samples in evaluation_samples(runs, names).items()
        ]
    script = "\n".join((PAGE / name).read_text() for name in SCRIPTS)
    style = "\n".join((PAGE / name).read_text() for name in STYLES)
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        title=spec["title"],
        experiment=runs[0].config.experiment,
        version=__version__,
        runs=[run_facts(run, labels) for run in runs],
        facts=common_facts(runs),
        unfinished=sum(not run.finished for run in runs),
        table=table,
        data=as_json(data),
        script=script,
        style=style,
        script_digest=digest(script),
        style_digest=digest(style),
    )


def measured_table(
    spec: dict[str, Any], finished: list[Path], data: dict[str, Any], iterations: int
) -> dict[str, Any]:
    """The table's panels as the Markdown page has them; its curves go into `data`."""
    runs = finished_runs(finished)
    frame = collect(spec, runs, iterations=iterations)
    data["passk"] = passk_curves(spec, frame)
    source = spec.get("published")
    published = source and published_table(source["file"], source["table"], source.get("model"))
    facts = render.facts(spec, frame, runs, runs[0].scale)
    if not is_table(spec["name"]):
        del facts["Repeat"]
    panels, notes = render.measured_panels(spec, frame), render.notes(spec, frame)
    if "effort" in spec:
        panels.append(effort_panels.cost_panel(spec, effort.costs(runs)))
        panels += effort_panels.saving_panels(spec, effort.savings(spec, effort.curves(runs)))
        notes += effort_panels.notes(spec)
    return {
        "measured": panels,
        "published": render.published_panels(spec, published) if published else [],
        "published_caption": render.published_caption(spec, published) if published else "",
        "facts": facts,
        "notes": notes,
    }


def as_json(data: Any) -> str:
    """JSON that can stand inside a script element, whatever its strings hold."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # a lone surrogate can't be written as UTF-8
    return text.translate(ESCAPES).encode("utf-8", "replace").decode("utf-8")


def digest(content: str) -> str:
    """A source of the content security policy: the inline element with exactly this content."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
