"""Several runs at once through Hydra's launcher, and what a person sees meanwhile.

The launcher is Hydra's own choice: joblib's processes on this machine, or what `cluster=slurm`, `cluster=ray`
or `hydra/launcher=...` names.
"""

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rlvr.config import (
    CONF,
    Config,
    check,
    compose,
    hydra_errors_as_sentences,
    load_config,
    run_directory,
    settable,
)
from rlvr.config.plugins import search_path
from rlvr.errors import UserError
from rlvr.files.run_directory import read_config
from rlvr.runs.display import Display


def with_deadline(overrides: Sequence[str]) -> list[str]:
    """Overrides with `stop_after_minutes=<minutes>` turned into the deadline of every run they start.

    A run that is out of time saves a checkpoint and ends without an error; the same command goes on from it.
    """
    key = "stop_after_minutes="
    kept = [override for override in overrides if not override.startswith(key)]
    for given in (override.removeprefix(key) for override in overrides if override.startswith(key)):
        if not re.fullmatch(r"\d+(\.\d+)?", given):
            raise UserError(f"stop_after_minutes={given}: accepted is a number of minutes, as in {key}10")
        kept.append(f"deadline={time.time() + 60 * float(given):.0f}")
    return kept


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """One list of overrides a run: the product of all that have several values (`seed=1,2,3`)."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with hydra_errors_as_sentences():
        parsed = OverridesParser.create().parse_overrides(settable(overrides))
        (jobs,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return jobs


def launch(jobs: Sequence[Sequence[str]], *, hydra_overrides: Sequence[str] = ()) -> list[Path]:
    """Run every list of overrides; all are checked before the first starts. Returns their directories.

    A run that fails does not stop the others; what failed is said at the end.
    """
    jobs = [list(job) for job in jobs]
    about_hydra = [o for o in jobs[0] if o.lstrip("+").startswith(("hydra", "cluster="))] if jobs else []
    jobs = [[o for o in job if o not in about_hydra] for job in jobs]
    configs = [load_config(job) for job in jobs]
    directories = [run_directory(config) for config in configs]
    if repeated := [str(path) for path in directories if directories.count(path) > 1]:
        raise UserError(
            f"two runs of this sweep would share {repeated[0]}: give them different arm= or seed="
        )
    with Display(list(zip(configs, directories, strict=True))), terminated_like_interrupted():
        results = _launch_through_hydra(jobs, [*about_hydra, *hydra_overrides])
    failures = []
    for result, path in zip(results, directories, strict=True):
        try:
            _ = result.return_value
        except UserError as error:
            failures.append(str(error))
        except Exception as error:
            failures.append(f"{path}: {type(error).__name__}: {error}")
    if failures:
        raise UserError(
            f"{len(failures)} of {len(jobs)} runs failed, the others are kept: " + "; ".join(failures)
        )
    return directories


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does, and so the processes of its runs too."""

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _launch_through_hydra(jobs: list[list[str]], hydra_overrides: list[str]):
    import hydra
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    GlobalHydra.instance().clear()
    with hydra_errors_as_sentences(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        instance = GlobalHydra.instance().hydra
        config = instance.compose_config(
            "config",
            [*search_path(), *hydra_overrides],
            run_mode=RunMode.MULTIRUN,
            with_log_configuration=False,
        )
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(config_loader=instance.config_loader, callbacks=Callbacks(config)),
            task_function=run_job,
            config=config,
        )
        return launcher.launch([settable(job) for job in jobs], initial_job_idx=0)


def run_job(composed: DictConfig) -> str:
    """What a launcher's process does, wherever it runs: paths are those of where the sweep was started."""
    from hydra.core.hydra_config import HydraConfig

    from rlvr.runs.run import run

    os.chdir(HydraConfig.get().runtime.cwd)
    return str(run(check(composed)))


def run_with_display(config: Config, *, print_results: bool = False) -> Path:
    """One run in this process, with its progress shown; under torchrun, rank 0 shows it."""
    from rlvr.training.distributed.ranks import rank

    if rank() > 0:
        from rlvr.runs.run import run

        return run(config)
    with Display([(config, run_directory(config))]) as display:
        from rlvr.runs.run import run

        path = run(config)
    if print_results:
        display.print_results(path)
    return path


def config_of_evaluation(arguments: Sequence[str]) -> Config:
    """What `rlvr evaluate` was asked for: of a run (`run=<its folder>`), or of a model as it is."""
    run, overrides = None, ["verb=evaluate"]
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "run":
            run = value
        elif key == "n":
            if not (value.isdigit() and int(value)):
                raise UserError(f"n={value}: accepted is a number of samples, as in n=64")
            powers = [2**i for i in range(int(value).bit_length())]
            overrides += [f"evaluation.samples={value}", f"evaluation.k={str(powers).replace(' ', '')}"]
        else:
            overrides.append(argument)
    if run is not None:
        return config_of_run(run, overrides)
    overrides = ["experiment=evaluate", "training.steps=0", *overrides]
    model = load_config(overrides).model
    if model.max_completion_tokens and not any(o.startswith("scale=") for o in overrides):
        longest = f"evaluation.sampling.max_tokens={model.max_completion_tokens}"
        overrides = ["scale=small", longest, *overrides]
    return load_config(overrides)


def config_of_run(path: str, overrides: Sequence[str]) -> Config:
    """The config of an existing run with some keys changed."""
    folder = Path(path).expanduser()
    if not (folder / "config.yaml").exists():
        raise UserError(f"{path} is not a run directory: it has no config.yaml")
    stored = read_config(folder)
    if run_directory(check(stored)).resolve() != folder.resolve():  # a copy: what is made goes there
        stored.folder, stored.runs = str(folder), str(folder.parent)
    groups = [o for o in overrides if o.split("=")[0] in {folder.name for folder in CONF.iterdir()}]
    changes = compose(groups) if groups else None
    for override in overrides:
        key, _, value = override.partition("=")
        if override in groups:
            OmegaConf.update(stored, key, changes[key], merge=False)
        else:
            OmegaConf.update(
                stored, key, OmegaConf.create({"value": _parse(value)})["value"], merge=False, force_add=True
            )
    return check(stored)


def _parse(value: str):
    import yaml

    return yaml.safe_load(value)
