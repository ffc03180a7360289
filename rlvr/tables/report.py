"""A table's files, from the files of its runs: Markdown, CSV and LaTeX, and figures as PNG and SVG."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.errors import UserError
from rlvr.files.atomic import write_whole
from rlvr.tables import effort, effort_panels, figures, rare, render, sweep_figures, sweeps
from rlvr.tables.collect import differences, measure, tidy
from rlvr.tables.published import published_table
from rlvr.tables.runs import finished_runs
from rlvr.tables.spec import FIGURES, check_spec, differences_file, savings_file, table_stem


def write_table(
    spec: dict[str, Any], run_dirs: Iterable[Path], published_dir: Path | None, output_dir: Path
) -> list[Path]:
    """Render a table from finished runs; what did not run is shown as not run.

    Args:
        spec: see `rlvr.tables.spec`.
        run_dirs: `results/runs/<experiment>/<arm>/seed-<s>`, in any order, finished or not.
        published_dir: where the papers' numbers are; None finds them.
        output_dir: gets `tables/` and `figures/`.

    Returns:
        The files written: the Markdown page first. The same runs give the same bytes. Of the CSV
        files one has the table and one the differences of all its arms.
    """
    check_spec(spec)
    runs = finished_runs(run_dirs)
    if not runs:
        raise UserError(f"table {spec['name']} has no finished run: run one of its arms first")
    scale = runs[0].scale
    measured = measure(spec, runs)
    frame, pairs = tidy(spec, measured), differences(spec, measured)
    published = spec.get("published")
    if published:
        published = published_table(
            published["file"], published["table"], published.get("model"), published_dir
        )

    stem = table_stem(spec["name"], scale)
    drawings, extra = {}, {}
    wanted = spec.get("figures", FIGURES[:2])
    if "pass-at-k" in wanted and frame["k"].nunique() > 1:
        drawings["pass-at-k"] = figures.pass_at_k_curves(spec, frame)
    if "difference" in wanted and frame["k"].nunique() > 1 and frame["difference"].notna().any():
        drawings["difference"] = figures.difference_curves(spec, frame)
    if "group-size" in wanted:
        drawings["group-size"] = sweep_figures.group_size_curves(spec, frame)
    if "training" in wanted:
        curves = extra[f"{stem}-training-curves.csv"] = sweep_figures.training_frame(runs)
        drawings["training"] = sweep_figures.training_curves(spec, curves)
    captions = figures.CAPTIONS | sweep_figures.CAPTIONS | sweeps.CAPTIONS
    if spec.get("sweep"):
        drawings["sweep"] = sweeps.sweep_curves(spec, frame)
    if spec.get("dynamics"):
        drawings["dynamics"] = sweeps.dynamics_curves(spec, runs)
    if spec.get("entropy") and len(points := sweeps.entropy_points(spec, runs)):
        drawings["entropy"] = sweeps.entropy_scatter(spec, points)
    facts = render.facts(spec, frame, runs, scale)
    panels, notes = render.measured_panels(spec, frame), render.notes(spec, frame)
    notes += [run.remark for run in runs if run.remark]
    if "effort" in spec:
        checkpoints = effort.curves(runs)
        savings = effort.savings(spec, checkpoints)
        panels += [effort_panels.cost_panel(spec, effort.costs(runs))]
        panels += effort_panels.saving_panels(spec, savings)
        notes += effort_panels.notes(spec)
        extra |= {f"{stem}-training.csv": checkpoints, savings_file(spec["name"], scale): savings}
        if len(savings):
            drawings["validation"] = effort_panels.validation_curves(spec, checkpoints)
            captions["validation"] = effort_panels.CAPTION
    of_rare, rare_pairs = rare.collect_rare(spec, runs)
    if len(of_rare):
        pairs = pd.concat([pairs, rare_pairs], ignore_index=True)
        panels.append(rare.rare_panel(spec, of_rare, rare_pairs))
        notes.append(rare.NOTE)
        extra[f"{stem}-rare.csv"] = of_rare
    links = {f"../figures/{stem}-{kind}.png": captions[kind] for kind in drawings}

    files = {
        f"tables/{stem}.md": render.markdown(spec, facts, panels, notes, links, published).encode(),
        f"tables/{stem}.csv": csv(frame),
        f"tables/{differences_file(spec['name'], scale)}": csv(pairs),
        f"tables/{stem}.tex": render.latex(spec, facts, panels, notes, published).encode(),
        **{f"tables/{name}": csv(numbers) for name, numbers in extra.items()},
    }
    for kind, figure in drawings.items():
        for file_format in ("png", "svg"):
            files[f"figures/{stem}-{kind}.{file_format}"] = figures.encode(figure, file_format)
    for name, content in files.items():
        write_whole(output_dir / name, content)
    return [output_dir / name for name in files]


def csv(frame: pd.DataFrame) -> bytes:
    """Six digits, one line a row, the same on every system."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
