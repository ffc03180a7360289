"""A published table, from nothing: plan its runs, do what is missing, render what is there."""

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from rlvr.config import EXPERIMENTS, Config, config_from_yaml, hydra_text
from rlvr.curriculum.lim import read_selection
from rlvr.curriculum.profile import needs_profile
from rlvr.errors import UserError, say
from rlvr.files.atomic import hold
from rlvr.files.run_directory import conflicts, flat, read_summary
from rlvr.files.run_files import RunFiles
from rlvr.policy.location import local_files
from rlvr.policy.recipes import RECIPES
from rlvr.report import find_runs, write_report
from rlvr.runs.evaluate import chosen_step, is_finished
from rlvr.runs.profile import is_profiled
from rlvr.runs.rare import rare_file
from rlvr.runs.schedule import ScheduledRun, baselines_of, named_arms, runs_of, schedule_runs, settings_of
from rlvr.runs.select import made_otherwise, select
from rlvr.runs.start import Start
from rlvr.runs.sweep import launch
from rlvr.tables.adhoc import check_seeds
from rlvr.tables.claims_page import is_asked, write_claims
from rlvr.tables.names import CLAIMS, papers, read_table, scale_of, tables_of
from rlvr.tables.page import assemble
from rlvr.tables.spec import OF_A_TABLE, TableSpec, refuse_keys_of_a_table
from rlvr.tables.terminal import print_table
from rlvr.tables.write import write_table
from rlvr.tracking.tracker import Tracker

# what each run of a table is given besides the overrides of its file and of its arm
OF_EACH_RUN = {*OF_A_TABLE, "runs", "scale", "evaluation.last_too"}
console = Console(stderr=True, markup=False, highlight=False)  # paths and arms may hold [brackets]


def reproduce_table(
    name: str,
    *,
    scale: str | None = None,
    seeds: Sequence[int] = (),
    arms: Sequence[str] = (),
    results: Path = Path("results"),
    overrides: Sequence[str] = (),
    start: Start = Start(),
    render_only: bool = False,
    experiments: Path | None = None,
) -> list[Path]:
    """Train the arms of a table, evaluate them, and render it; finished runs are left alone.

    Args:
        name: `<paper>/<table>`.
        scale: an option of `conf/scale`; None for the table's own.
        seeds: of every arm; none for the table's own.
        arms: the only ones to run, with those that they depend on (`runs_of`); none for all. The table has
            the others too, as they are.
        overrides: hold for every run, but for arms that set the same key.
        start: when to stop.
        experiments: a folder of tables that is looked through before rlvr's own.

    Returns:
        The files rendered, the table's page first; last the page of the paper's claims, if any are declared.
    """
    refuse_keys_of_a_table(overrides)
    scale = scale or scale_of(name, experiments)
    spec = read_table(name, scale, experiments)
    seeds = list(seeds) or spec.seeds
    say_what_arms_set(spec, overrides)
    spec.repeat = repeat_of(name, scale, seeds, experiments, overrides)
    if arms and (spec.experiment or render_only):
        whose = "--render" if render_only else f"table {name}, which shows the runs of {spec.experiment},"
        raise UserError(f"arms= says what is run, and {whose} runs nothing: leave it out")
    if spec.experiment:
        return render_taken(spec, results)
    folder = results / "runs" / spec.folder(scale)
    with hold(folder, "is being reproduced", "wait for it; its finished runs will be used"):
        started = time.perf_counter()
        placed = [f"experiment={spec.folder(scale)}", f"runs={hydra_text(str(results / 'runs'))}"]
        scheduled = schedule_runs(spec, seeds, [*placed, f"scale={scale}", *overrides])
        refuse_other_settings(scheduled, overrides, evaluated=render_only)
        if not render_only and not run_arms(spec, scheduled, arms, start):
            return []
        runs = [RunFiles(run.directory, arm=run.arm.name) for run in scheduled if not is_shorter(run)]
        table = assemble(spec, runs)
        files = write_table(table, results)
        claimed = (paper := name.partition("/")[0]) in papers() and name in tables_of(EXPERIMENTS)
        if claimed and is_asked(EXPERIMENTS / paper / CLAIMS, scale):
            files += write_claims([paper], scale, results, EXPERIMENTS)
        started_runs = [run for run in runs if (run.directory / "config.yaml").exists()]
        files.append(write_report(started_runs, results / "reports" / f"{table.stem}.html", table=table))
        tracker = Tracker(replace(scheduled[0].config, arm="table"), folder)
        tracker.log_table(files)
        tracker.close()
    console.print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    print_table(table, files)
    return files


def refuse_other_settings(
    scheduled: Sequence[ScheduledRun], overrides: Sequence[str], *, evaluated: bool
) -> None:
    """Raise UserError for a run that is there with another value of a key that the table sets.

    Those are the keys that are given for it now, the overrides of its file, and what an arm selects by. The
    page would name the one value, and have the numbers of the other. Of a scale's keys nothing is asked.

    Args:
        evaluated: whether keys of the evaluation count, since nothing will be evaluated anew.
    """
    given = keys_of(overrides)
    configs: dict[bytes, Config] = {}  # checking one is slow, and seeds mostly differ in nothing else
    for run in scheduled:
        if not (file := run.directory / "config.yaml").is_file():
            continue
        text = re.sub(rb"(?m)^seed: .*$", b"", file.read_bytes())
        stored = configs[text] = configs.get(text) or config_from_yaml(file)
        differing = conflicts(run.directory, stored, run.config)
        if run.source:  # where the file is says nothing of what is in it
            differing.pop("curriculum.selection", None)
        if evaluated:
            before, now = (flat({"evaluation": asdict(one.evaluation)}) for one in (stored, run.config))
            differing |= {key: (before[key], now[key]) for key in now if before[key] != now[key]}
        for key, (before, now) in (selected_otherwise(run, stored) | differing).items():
            anew = "leave out --render, " if key.startswith("evaluation.") else ""
            there = f"{run.directory} holds a run with {key}={before}, not {now}"
            if is_set_by(given, key):
                raise UserError(f"{there}: {anew}give another results=, or remove that folder")
            if key.startswith("select.") or is_set_by(keys_of(run.overrides) - OF_EACH_RUN, key):
                raise UserError(
                    f"{there} as arm {run.arm.name!r} of the table's file has it: {anew}give the table "
                    "another name, or remove that folder"
                )


def keys_of(overrides: Sequence[str]) -> set[str]:
    return {override.lstrip("+~").partition("=")[0] for override in overrides}


def is_set_by(keys: set[str], key: str) -> bool:
    """Whether a key is among some keys, or below one that is a group."""
    return any(f"{key}.".startswith(f"{one}.") for one in keys)


def selected_otherwise(run: ScheduledRun, stored: Config) -> dict[str, tuple[Any, Any]]:
    """{key: (before, now)} of what an arm selects by, where the run that is there has another choice."""
    curriculum, now = stored.curriculum, run.config.curriculum
    if not run.source or curriculum.name != now.name or not curriculum.selection:
        return {}
    before, now = Path(curriculum.selection), run.source.directory
    if (source := before.parent.parent.name) != now.parent.name:
        return {"select.from": (source, now.parent.name)}
    if not (file := now / before.name).is_file():
        return {}
    selection = read_selection(file)
    trained_on = RunFiles(run.directory).provenance.get("contents", {}).get("the selection")
    if trained_on not in (None, selection.fingerprint()):
        return {}  # the file is another arm's by now
    differing = made_otherwise(selection, **settings_of(run.arm.select))
    return {f"select.{key}": values for key, values in differing.items()}


def is_shorter(run: ScheduledRun) -> bool:
    """Whether a run is there as it was with other steps than it is to have, and not gone on with yet.

    It is said, since the page leaves it out.
    """
    summary = read_summary(run.directory)
    if run.trained or summary.get("status") != "finished":
        return False
    say(
        f"{run.directory} is left out: it has {summary.get('trained_steps')} steps of the "
        f"{run.config.training.steps} that are asked for"
    )
    return True


def say_what_arms_set(spec: TableSpec, overrides: Sequence[str]) -> None:
    """Name the arms that a key given for the whole table does not reach, since it is what they differ in."""
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if arms := [
            arm.name for arm in spec.arms if key in {text.partition("=")[0] for text in arm.overrides}
        ]:
            say(f"{override} is not for {', '.join(arms)}: of {key} they have a value of their own")


def run_arms(spec: TableSpec, scheduled: Sequence[ScheduledRun], names: Sequence[str], start: Start) -> bool:
    """Run what is missing of the arms that are named; whether the table then has any finished run.

    Those that are run without being asked for are said, and those that can't be.
    """
    asked, chosen = named_arms(spec, names), runs_of(spec, scheduled, names)
    of_table, run = ({one.arm.name: one.arm for one in runs} for runs in (scheduled, chosen))
    for arm in asked:
        if arm.name not in of_table:
            console.print(f"{arm.name} is left out: its paper gives no {arm.ask}; run it with {arm.ask}=...")
    if more := [name for name, arm in run.items() if arm not in asked]:
        console.print(f"{', '.join(more)} too, which the arms that were asked for depend on")
    run_missing(spec, chosen, start)
    finished = [run for run in scheduled if is_finished(run.config, run.directory)]
    if missing := set(chosen).difference(finished):
        done = f"{len(chosen) - len(missing)} of {len(chosen)} runs finished"
        console.print(f"time is up with {done}: the same command goes on")
    return bool(finished)


def repeat_of(
    name: str, scale: str, seeds: Sequence[int], experiments: Path | None, overrides: Sequence[str]
) -> str:
    """The command that makes a table again; "" for rlvr's as they are, which `make` repeats."""
    if experiments is None and name in tables_of(EXPERIMENTS) and not overrides:
        return ""
    where = [f"experiments={experiments}"] if experiments else []
    given = [f"table={name}", *where, f"scale={scale}", f"seeds={','.join(map(str, seeds))}"]
    return shlex.join(["rlvr", "reproduce", *given, *overrides])


def render_taken(spec: TableSpec, results: Path) -> list[Path]:
    """The table of an experiment's runs as they are; nothing is started.

    Raises:
        UserError: where the experiment has no evaluated run of the table's arms, or an arm has seeds that are
            not of one kind.
    """
    folder = results / "runs" / spec.folder("")
    there = find_runs(folder) if folder.is_dir() else []
    runs = [run for run in there if run.arm in spec.arm_labels]
    if not any(run.finished for run in runs):
        found = sorted({run.arm for run in there if run.finished})
        raise UserError(
            f"table {spec.name} takes its runs from {folder}, where none of its arms "
            f"({', '.join(spec.arm_labels)}) is evaluated; evaluated are {', '.join(found) or 'none'}"
        )
    check_seeds([run for run in runs if run.finished], by_key=False)
    page = assemble(spec, runs)
    files = write_table(page, results)
    files.append(write_report(runs, results / "reports" / f"{page.stem}.html", table=page))
    print_table(page, files)
    return files


def prepare(run: ScheduledRun, start: Start) -> bool:
    """Make the policy, the profile or the selection that a run needs; a profile where its runs will be.

    A policy or a profile that is there is left alone. A selection costs nothing and is made again, since its
    file may be of other settings than the table's.

    Returns:
        Whether all is there; not so where time was up before the profile was.
    """
    model = run.config.model
    if model.path in RECIPES and local_files(model) is None:
        from rlvr.warm_start.train import make_policy

        make_policy(model.path)
    if lacks_profile := needs_profile(run.config) and not is_profiled(run.config):
        launch([run.overrides], start=replace(start, makes="profile"))
    if run.source:
        method, file = run.config.curriculum.name, Path(run.config.curriculum.selection)
        select(run.source.directory, method, file=file, **settings_of(run.arm.select))
    return not lacks_profile or is_profiled(run.config)


def run_missing(spec: TableSpec, scheduled: list[ScheduledRun], start: Start) -> None:
    """First all training, then all evaluations: a focal arm's checkpoint is chosen among those that cost
    no more than its baseline's choice (F-GRPO, App. L.2), so the baseline's has to be known. A table without
    `checkpoint: baseline` takes every arm's best one."""
    unfinished = [run for run in scheduled if not is_finished(run.config, run.directory)]
    untrained = [run for run in unfinished if not run.trained]
    console.print(
        f"{spec.name}: {len(scheduled)} runs, {len(scheduled) - len(unfinished)} of them finished; "
        f"training {len(untrained)}, then evaluating {len(unfinished)}",
    )
    baselines = baselines_of(spec, scheduled)

    def wave_of(run: ScheduledRun) -> tuple[bool, bool]:
        # which checkpoints a focal arm keeps depends on its baseline's choice
        waits = run in baselines and run.config.checkpoint.keep is not None
        return run.source is not None, waits

    for number in sorted({wave_of(run) for run in untrained}):
        wave = [run for run in untrained if wave_of(run) == number]
        for run in wave:
            if not prepare(run, start):
                return  # out of time
        limited = {run: latest_step(baselines[run]) for run in wave if number[1]}
        jobs = [[*run.overrides, "evaluation.after_training=false", *limited.get(run, [])] for run in wave]
        launch(jobs, start=start)
        if not all(run.trained for run in wave):
            return  # out of time
    asked = [run for run in unfinished if run.config.evaluation.rare.prompts]
    sets = {rare_file(run.config, run.directory): run for run in asked}  # which most runs of a table share
    if missing := [run for file, run in sets.items() if not file.exists()]:
        launch([run.overrides for run in missing], start=replace(start, makes="rare"))
        if not all(file.exists() for file in sets):
            return  # out of time
    if unfinished:
        limited = {run: latest_step(baselines[run]) for run in unfinished if run in baselines}
        jobs = [[*run.overrides, *limited.get(run, [])] for run in unfinished]
        launch(jobs, start=replace(start, evaluate=True))


def latest_step(baseline: ScheduledRun) -> list[str]:
    """The override for a run that has no more steps than its baseline."""
    return [f"evaluation.latest_step={chosen_step(baseline.config, baseline.directory)}"]
