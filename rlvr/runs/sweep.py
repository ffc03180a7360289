"""Several runs at once through Hydra's launcher, and what a person sees meanwhile.

The launcher is Hydra's own choice: joblib's processes on this machine, or what `cluster=slurm`, `cluster=ray`
or `hydra/launcher=...` names.
"""

import itertools
import math
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from rlvr.config import (
    Config,
    check,
    hydra_errors_as_sentences,
    hydra_with_conf,
    load_config,
    run_directory,
    settable,
)
from rlvr.errors import UserError, printable
from rlvr.files.atomic import make_folder
from rlvr.files.run_directory import read_summary
from rlvr.runs.display import Display
from rlvr.runs.interrupts import terminated_like_interrupted
from rlvr.runs.launchers import end_workers_of_elsewhere, lost_jobs_as_failures, plugins_as_sentences
from rlvr.runs.placement import gpus_here, placement
from rlvr.runs.start import Start
from rlvr.runs.sweep_names import named, settings_of, trial_name

MOST_RUNS = 10_000  # of one sweep


def sweep(
    overrides: Sequence[str],
    *,
    config_name: str = "config",
    start: Start = Start(),
    again: str | None = None,
) -> None:
    """`rlvr train -m`: every combination of the values given, or what another sweeper asks for.

    Args:
        again: the command, where what came out is printed (`print_outcome`).
    """
    with hydra_errors_as_sentences(), hydra_with_conf() as hydra:
        config = composed_for_sweep(hydra, config_name, overrides)
    if config.hydra.sweeper._target_.endswith(".BasicSweeper"):
        params = config.hydra.sweeper.params or {}
        jobs = expand([*(f"{key}={value}" for key, value in params.items()), *overrides])
        launch(named(jobs, config_name), config_name=config_name, start=start, again=again)
    else:
        search(overrides, config_name=config_name, start=start)


def composed_for_sweep(hydra: Any, config_name: str, overrides: Sequence[str]) -> DictConfig:
    """The config of a sweep, with Hydra's part."""
    from hydra.types import RunMode

    return hydra.compose_config(
        config_name, settable(overrides), run_mode=RunMode.MULTIRUN, with_log_configuration=False
    )


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """One list of overrides a run: the product of all that have several values (`seed=1,2,3`, `choice(...)`,
    `range(...)`, `glob(...)`). Of a key that is there twice, the later one counts."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    values: dict[str, list[str]] = {}
    with hydra_errors_as_sentences(), hydra_with_conf() as hydra:  # glob() looks into its config groups
        parser = OverridesParser.create(config_loader=hydra.config_loader)
        for override in parser.parse_overrides(settable(overrides)):
            key = override.get_key_element()
            if override.is_sweep_override() and not override.is_discrete_sweep():
                name = key.lstrip("+")
                raise UserError(
                    f"{name}={override.get_value_string()}: accepted are values to run one by one, as in "
                    f"{name}=choice(1,2) or range(1,3); an interval is for hydra/sweeper=optuna"
                )
            if override.is_sweep_override():
                found = itertools.islice(override.sweep_string_iterator(), MOST_RUNS + 1)
                values[key] = [f"{key}={value}" for value in found]
            elif override.is_delete():
                values[key] = [override.input_line or key]
            else:
                values[key] = [f"{key}={override.get_value_element_as_str()}"]
    if empty := [key.lstrip("+") for key, found in values.items() if not found]:
        raise UserError(f"{empty[0]} is given no value in this sweep: accepted is one or more, as in 1,2")
    if math.prod(map(len, values.values())) > MOST_RUNS:
        raise UserError(f"this sweep is of more than {MOST_RUNS:,} runs: give fewer values")
    return [list(job) for job in itertools.product(*values.values())]


def launch(
    jobs: Sequence[Sequence[str]],
    *,
    config_name: str = "config",
    start: Start = Start(),
    again: str | None = None,
) -> list[Path]:
    """Run every list of overrides; all are checked before the first starts. Returns their directories.

    A run that fails does not stop the others; what failed is said at the end.

    Args:
        again: the command, where what came out is printed (`print_outcome`).
    """
    jobs = [list(job) for job in jobs]
    about_hydra = [o for o in jobs[0] if o.lstrip("+").startswith(("hydra", "cluster="))] if jobs else []
    configs = [load_config(job, config_name) for job in jobs]
    jobs = [[o for o in job if o not in about_hydra] for job in jobs]
    shown = [start.shown(config) for config in configs]
    directories = [run_directory(config) for config in shown]
    if repeated := [str(path) for path in directories if directories.count(path) > 1]:
        raise UserError(
            f"two runs of this sweep would share {repeated[0]}: give them different arm= or seed="
        )
    from hydra.core.plugins import Plugins

    with (
        Display(list(zip(shown, directories, strict=True)), evaluate=start.evaluate),
        terminated_like_interrupted(),
        launching(about_hydra, config_name, start) as (context, config, start),
    ):
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=partial(run_job, start=start), config=config
        )
        try:
            results = launcher.launch([settable(job) for job in jobs], initial_job_idx=0)
        except BrokenProcessPool as error:  # loky ends all others with it
            raise UserError(
                f"a process of this sweep was killed ({signals_in(error)}), as the system does where memory "
                "runs out: what its runs have done is kept, and the same command goes on; fewer at a time "
                "with hydra.launcher.n_jobs=1"
            ) from error
    failures = list(reasons_of_failure(results, directories))
    if again is not None and len(failures) < len(jobs):
        from rlvr.runs.outcome import print_outcome

        print_outcome(list(zip(configs, directories, strict=True)), again)
    if failures:
        raise UserError(
            f"{len(failures)} of {len(jobs)} runs failed, the others are kept: " + each_once(failures)
        )
    return directories


def reasons_of_failure(results: Sequence[Any], directories: Sequence[Path]) -> Iterator[str]:
    """Why each run that failed did; of what is no sentence yet, with the run's folder."""
    for result, path in zip(results, directories, strict=True):
        try:
            _ = result.return_value
        except UserError as error:
            yield str(error)
        except Exception as error:
            yield f"{path}: {type(error).__name__}: {error}"


def each_once(reasons: Sequence[str]) -> str:
    """Sentences in one line, with how many runs have each: a model that is not there all of them lack."""
    counts = Counter(reasons)
    return "; ".join(f"{reason} ({count} runs)" if count > 1 else reason for reason, count in counts.items())


def signals_in(error: BaseException) -> str:
    """The signals that ended loky's workers, as it lists them."""
    found = re.search(r"exit codes of the workers are \{(.*)\}", str(error))
    return found[1] if found else type(error).__name__


def search(overrides: Sequence[str], *, config_name: str, start: Start) -> None:
    """A sweep whose runs a sweeper chooses one after the other, from the `objective` of those before."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.plugins import Plugins

    with terminated_like_interrupted(), launching(overrides, config_name, start) as (context, config, start):
        parser = OverridesParser.create(config_loader=context.config_loader)
        parsed = parser.parse_overrides(list(config.hydra.overrides.task))
        options = config.hydra.sweeper
        with open_dict(options):
            if params := options.get("params"):
                given = {override.get_key_element() for override in parsed}
                settings = [text.split("=", 1) for text in settable([f"{k}={v}" for k, v in params.items()])]
                options.params = {key: value for key, value in settings if key not in given}
            if "direction" in options and not any("hydra.sweeper.direction" in text for text in overrides):
                options.direction = "maximize"  # Hydra's sweepers minimise by themselves, as losses want
        fixed = tuple(override.get_key_element() for override in parsed if not override.is_sweep_override())
        file = Path(config.hydra.sweep.dir) / "optimization_results.yaml"
        before = file.stat().st_mtime_ns if file.exists() else 0
        sweeper = Plugins.instance().instantiate_sweeper(
            hydra_context=context,
            task_function=partial(run_trial, fixed=fixed, start=start),
            config=config,
        )
        sweeper.sweep(arguments=list(config.hydra.overrides.task))
    if file.exists() and file.stat().st_mtime_ns != before:
        print(f"{file}\n{file.read_text().replace('++', '')}", end="")


@contextmanager
def launching(
    overrides: Sequence[str], config_name: str, start: Start
) -> Iterator[tuple[Any, DictConfig, Start]]:
    """What Hydra's launchers and sweepers are made with: a context, and the config of a sweep.

    To them comes what each job starts with: GPUs of its own.
    """
    from hydra._internal.callbacks import Callbacks  # which every launcher asks its context for
    from hydra.types import HydraContext

    # loky puts another process in the place of one that grew, and no run is the worse for it
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    with hydra_errors_as_sentences(), hydra_with_conf() as hydra, plugins_as_sentences():
        config = composed_for_sweep(hydra, config_name, overrides)
        several = start.processes if start.processes > 1 else None
        placed, runs_per_gpu = placement(config.hydra.launcher, overrides, several, len(gpus_here()))
        if placed:
            config = composed_for_sweep(hydra, config_name, [*overrides, *placed])
        start = replace(start, runs_per_gpu=runs_per_gpu)
        make_folder(Path(config.hydra.sweep.dir), "hydra.sweep.dir")
        if config.hydra.launcher._target_.endswith(".JoblibLauncher"):
            end_workers_of_elsewhere()
        with lost_jobs_as_failures(config.hydra.launcher._target_):
            yield HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config)), config, start


def run_job(composed: DictConfig, *, start: Start) -> str:
    """What a launcher's process does, wherever it runs: paths are those of where the sweep was started."""
    from hydra.core.hydra_config import HydraConfig

    from rlvr.runs.deadline import Stopped
    from rlvr.runs.processes import start_run

    hydra = HydraConfig.get()
    os.chdir(hydra.runtime.cwd)
    config = check(composed)
    try:
        return str(start_run(config, start))
    except Stopped as stopped:
        if not hydra.launcher._target_.endswith(".JoblibLauncher"):
            raise  # to whom it tells that the run is to be started again
        raise UserError(
            f"{run_directory(config)} was asked to stop by a signal: the same command goes on"
        ) from stopped  # joblib would kill all others for it


def run_trial(composed: DictConfig, *, fixed: Sequence[str], start: Start) -> float:
    """`run_job` for a sweeper that learns from what comes of it.

    Args:
        fixed: keys that all of the sweep's runs share, and that are not said of each.
    """
    from hydra.core.hydra_config import HydraConfig

    task = HydraConfig.get().overrides.task
    chosen = [text for text in task if text.partition("=")[0] not in fixed]
    if composed.get("arm") is None and settings_of(chosen):
        OmegaConf.update(composed, "arm", trial_name(check(composed), task, chosen), force_add=True)
    path, config = Path(run_job(composed, start=start)), check(composed)
    score = objective(config, path)
    said = (
        f"pass@{config.evaluation.select_by} {score:.4f} with {', '.join(chosen).replace('++', '')}: {path}"
    )
    print(printable(said), file=sys.stderr, flush=True)
    return score


def objective(config: Config, path: Path) -> float:
    """What a sweeper makes as large as it can: the average in-domain pass@1 (pass@k of
    `evaluation.select_by`) by validation of the checkpoint that the run chose, or by evaluation where the run
    does not train.

    Raises:
        UserError: for a run that is not finished, whose number would be another one's.
    """
    from rlvr.evaluation.validation import read_validation
    from rlvr.runs.evaluate import chosen_step

    summary, by = read_summary(path), config.evaluation.select_by
    if config.training.steps and summary.get("trained_steps") == config.training.steps:
        score = read_validation(path / "validation.jsonl", by)[chosen_step(config, path)]
        if score is None:
            raise UserError(
                f"{path} has no in-domain pass@{by} at its last step: it could not be judged there"
            )
        return score
    if not config.training.steps and (results := summary.get("evaluation")):
        scores = [r["pass@k"].get(str(by)) for r in results.values() if r["domain"] == "in_domain"]
        if not scores or None in scores:
            raise UserError(f"{path} has no in-domain pass@{by}: a search needs {by} in evaluation.k")
        return mean(scores)
    raise UserError(
        f"{path} is not finished, and a search compares whole runs only: leave stop_after_minutes= out"
    )


def run_with_display(config: Config, start: Start, *, again: str | None = None) -> Path:
    """One run from this process, with its progress shown; under torchrun, rank 0 shows it.

    Args:
        again: the command, where what came out is printed (`print_outcome`).
    """
    from rlvr.runs.processes import start_run
    from rlvr.training.distributed.ranks import rank

    if rank() > 0:
        return start_run(config, start)
    shown = start.shown(config)
    with Display([(shown, run_directory(shown))], evaluate=start.evaluate):
        path = start_run(config, start)
    if again is not None:
        from rlvr.runs.outcome import print_outcome

        print_outcome([(config, path)], again)
    return path
