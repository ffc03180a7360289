"""A published table, from nothing: plan its runs, do what is missing, render what is there."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from rlvr.config import EXPERIMENTS, Config, load_config, run_directory
from rlvr.curriculum.profile import needs_profile, profile_file
from rlvr.errors import UserError, unknown
from rlvr.files.atomic import hold
from rlvr.files.run_directory import read_summary
from rlvr.policy.location import local_files
from rlvr.policy.recipes import RECIPES
from rlvr.report import read_run, write_report
from rlvr.runs.evaluate import chosen_step, is_finished
from rlvr.runs.profile import profile_with_display
from rlvr.runs.rare import draw
from rlvr.runs.select import select, selection_file
from rlvr.runs.sweep import launch, with_deadline
from rlvr.tables.claims_page import CLAIMS, papers, write_claims
from rlvr.tables.report import write_table
from rlvr.tables.spec import experiment, read_spec
from rlvr.tracking.tracker import Tracker

console = Console(stderr=True)


def tables() -> list[str]:
    """The names of all tables that can be reproduced: `<paper>/<table>`, a file each."""
    files = [file for file in EXPERIMENTS.glob("*/*.yaml") if file.name != CLAIMS]
    return sorted(str(file.relative_to(EXPERIMENTS).with_suffix("")) for file in files)


def reproduce_table(arguments: list[str], *, render_only: bool = False) -> list[Path]:
    """Train the arms of a table, evaluate them, and render it; finished runs are left alone.

    Args:
        arguments: `table=<paper>/<table>`, and optionally `scale=`, `seeds=1,2`, `results=`, and any
            override that is to hold for every run.

    Returns:
        The files rendered, the table's page first; last the page of the paper's claims, if any are declared.
    """
    settings = {"table": "", "scale": "laptop", "seeds": "", "results": "results"}
    overrides = []
    for argument in with_deadline(arguments):
        key, separator, value = argument.partition("=")
        if separator and key in settings:
            settings[key] = value
        else:
            overrides.append(argument)
    name, scale = settings["table"], settings["scale"]
    if not name:
        raise UserError(f"reproduce needs a table, as in table=fgrpo/table1: there are {', '.join(tables())}")
    if name not in tables():
        raise unknown("table", name, tables())
    spec = read_spec(EXPERIMENTS / f"{name}.yaml", scale)
    seeds = parse_seeds(settings["seeds"]) or spec.get("seeds", [1])
    results = Path(settings["results"])
    folder = results / "runs" / experiment(spec, scale)
    lock = hold(folder, "is being reproduced", "wait for it; its finished runs will be used")
    started = time.perf_counter()
    base = [f"experiment={experiment(spec, scale)}", f"scale={scale}", f"runs={results / 'runs'}", *overrides]
    planned = plan(spec, seeds, base)
    if not render_only:
        run_missing(spec, planned)
        finished = sum(is_finished(run.config, run.directory) for run in planned)
        if finished < len(planned):
            console.print(
                f"time is up with {finished} of {len(planned)} runs finished: the same command goes on",
                highlight=False,
            )
        if not finished:
            lock.close()
            return []
    files = write_table(spec, [run.directory for run in planned], None, results)
    if (paper := name.partition("/")[0]) in papers(EXPERIMENTS):
        files.append(write_claims(paper, scale, results, EXPERIMENTS))
    started_runs = [run.directory for run in planned if (run.directory / "config.yaml").exists()]
    page = results / "reports" / f"{files[0].stem}.html"
    files.append(write_report([read_run(path) for path in started_runs], page, spec=spec))
    tracker = Tracker(replace(planned[0].config, arm="table"), folder)
    tracker.log_table(files)
    tracker.close()
    lock.close()
    print(files[0].read_text())
    minutes = (time.perf_counter() - started) / 60
    console.print(f"{minutes:.1f} minutes. Written:", highlight=False)
    for file in files:
        console.print(f"  {file}", highlight=False)
    return files


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One arm under one seed: what will be run, and where.

    Attributes:
        source: the run whose accuracies choose this one's problems, if any.
    """

    arm: dict[str, Any]
    seed: int
    overrides: list[str]
    config: Config
    source: "PlannedRun | None" = None

    @property
    def directory(self) -> Path:
        return run_directory(self.config)

    @property
    def trained(self) -> bool:
        return read_summary(self.directory).get("trained_steps") == self.config.training.steps


def plan(spec: dict[str, Any], seeds: list[int], base: list[str]) -> list[PlannedRun]:
    """Every run of a table; the base policy, which is not trained, has one seed only.

    An arm may `ask` for a key that its paper gives no value for. It is planned only if `base` has that key,
    which then goes to no other arm.
    """
    planned: list[PlannedRun] = []
    asked = {arm["ask"] for arm in spec["arms"] if "ask" in arm}
    given = {o.partition("=")[0]: o for o in base if o.partition("=")[0] in asked}
    base = [override for override in base if override not in given.values()]
    configs: dict[str, Config] = {}  # composing is slow, and seeds differ in nothing else
    for seed in seeds:
        for arm in spec["arms"]:
            if arm.get("ask", "") not in ("", *given):
                continue
            overrides = [*spec.get("overrides", []), *base, *arm.get("overrides", [])]
            overrides += [given[arm["ask"]]] if "ask" in arm else []
            overrides += [f"arm={arm['name']}", f"seed={seed}"]
            if arm["name"] not in configs:
                configs[arm["name"]] = load_config(overrides)
            run = PlannedRun(arm, seed, overrides, replace(configs[arm["name"]], seed=seed))
            if "select" in arm:
                run = with_selection(run, planned)
            if run.config.training.steps or seed == seeds[0]:
                planned.append(run)
    return planned


def with_selection(run: PlannedRun, planned: list[PlannedRun]) -> PlannedRun:
    """The run with the file of its problems, which the arm `select.from` of the same seed is to choose."""
    earlier = {other.arm["name"]: other for other in planned if other.seed == run.seed}
    if (name := run.arm["select"]["from"]) not in earlier:
        raise unknown("arm to select from, before this one", name, earlier)
    source = earlier[name]
    file = selection_file(source.directory, run.config.curriculum.name)
    overrides = [*run.overrides, f"curriculum.selection={file}"]
    return PlannedRun(run.arm, run.seed, overrides, load_config(overrides), source)


def prepare(run: PlannedRun) -> None:
    """Make the policy, the profile or the selection that a run needs, unless it is there."""
    model = run.config.model
    if model.path in RECIPES and local_files(model) is None:
        from rlvr.warm_start.train import make_policy

        make_policy(model.path)
    if needs_profile(run.config) and not profile_file(run.config).exists():
        profile_with_display(run.config)
    if run.source and not Path(run.config.curriculum.selection).exists():
        options = {key: value for key, value in run.arm["select"].items() if key != "from"}
        select(run.source.directory, run.config.curriculum.name, **options)


def run_missing(spec: dict[str, Any], planned: list[PlannedRun]) -> None:
    """First all training, then all evaluations: a focal arm's checkpoint is chosen among those that cost
    no more than its baseline's choice (F-GRPO, App. L.2), so the baseline's has to be known. A table with
    `checkpoint: best` takes every arm's best one."""
    unfinished = [run for run in planned if not is_finished(run.config, run.directory)]
    untrained = [run for run in unfinished if not run.trained]
    for arm in spec["arms"]:
        if arm["name"] not in {run.arm["name"] for run in planned}:
            console.print(
                f"{arm['name']} is left out: its paper gives no {arm['ask']}; run it with {arm['ask']}=...",
                highlight=False,
            )
    console.print(
        f"{spec['name']}: {len(planned)} runs, {len(planned) - len(unfinished)} of them finished; "
        f"training {len(untrained)}, then evaluating {len(unfinished)}",
        highlight=False,
    )
    for wave in ([run for run in untrained if not run.source], [run for run in untrained if run.source]):
        for run in wave:
            prepare(run)
        if wave:
            launch([[*run.overrides, "evaluation.after_training=false"] for run in wave])
        if not all(run.trained for run in wave):
            return  # out of time
    if unfinished:
        by_name = {(run.arm["name"], run.seed): run for run in planned}
        jobs = []
        for run in unfinished:
            job = [*run.overrides, "verb=evaluate"]
            by_validation = run.config.evaluation.checkpoint == "best"
            if "baseline" in run.arm and by_validation and spec.get("checkpoint") != "best":
                baseline = by_name[run.arm["baseline"], run.seed]
                job.append(f"evaluation.latest_step={chosen_step(baseline.config, baseline.directory)}")
            jobs.append(job)
            if run.config.evaluation.rare.prompts:
                draw(run.config, run.directory)  # here, since runs of one table share it
        launch(jobs)


def parse_seeds(text: str) -> list[int]:
    """ "1,2,3" -> [1, 2, 3]"""
    try:
        return [int(part) for part in text.split(",") if part]
    except ValueError:
        raise UserError(f"seeds={text!r}: write whole numbers with commas, as in seeds=1,2,3") from None
