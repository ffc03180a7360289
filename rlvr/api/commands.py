"""`rlvr train` and `rlvr evaluate` as functions that take what the commands take."""

import os
import shlex
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from rlvr.api.run import Run
from rlvr.cli.arguments import read
from rlvr.cli.training import VERBS, deadline, run_folder
from rlvr.config import Config, hydra_text, load_config
from rlvr.config.places import at_home
from rlvr.errors import UserError
from rlvr.files.run_directory import no_run
from rlvr.runs.start import Start

# Runs of several threads take turns: Hydra's state, torch's and that of loading a model are the process's
_TURN = threading.RLock()


def train(*overrides: str, **keys: Any) -> Run:
    """Train one policy and evaluate its best checkpoint, as `rlvr train` does, in this process.

        rlvr.train("algorithm=dapo", "training.steps=5")
        rlvr.train(algorithm="dapo", training={"steps": 5})      # the same run
        rlvr.train(algorithm="dapo", **{"training.steps": 5})    # the same again

    A run that is finished is not run again, and one that was broken off goes on.

    Args:
        overrides: as on the command line, `key=value` in Hydra's syntax; `stop_after_minutes=` and
            `gpus_per_run=` too.
        keys: the same by name: a config group's option, a key's value, or a dict of keys below it. Values
            are Python's: `None`, `True`, numbers, texts, lists.

    Returns:
        The run, finished unless `stop_after_minutes` or `evaluation.after_training=false` ended it before.

    Raises:
        UserError: for what the command line would refuse, with the same sentence.
    """
    words = [*overrides, *_written(keys)]
    command = shlex.join(["rlvr", "train", *words])
    with _TURN:
        given = _read("train", words)
        return _run(load_config(given.overrides), given, command)


def evaluate(
    run: "Run | str | os.PathLike[str] | None" = None, *overrides: str, n: int | None = None, **keys: Any
) -> Run:
    """Evaluate a run's chosen checkpoint, or a model as it is, as `rlvr evaluate` does.

        rlvr.evaluate(run, n=64)
        rlvr.evaluate(model="embedded", benchmark="countdown_4", n=64)

    Args:
        run: a run or its folder; None for a model, which `model=` then names.
        n: samples a problem, with k = 1, 2, 4, ... up to it.
        overrides, keys: as for `train`.

    Raises:
        UserError: as `train`, and where neither a run nor a model is given.
    """
    from rlvr.runs.evaluation_config import config_of_run, overrides_of_evaluation

    # an override, without a run before it; but arms of a sweep have folders with an equals sign
    if isinstance(run, str) and "=" in run and not at_home(run).is_dir():
        run, overrides = None, (run, *overrides)
    if run is not None:
        overrides = (f"run={run.path if isinstance(run, Run) else os.fspath(run)}", *overrides)
    if n is not None:
        keys["n"] = n
    words = [*overrides, *_written(keys)]
    with _TURN:
        given = _read("evaluate", words)
        command = shlex.join(["rlvr", "evaluate", *words])
        if given.run is not None:
            config = config_of_run(run_folder(given.run), overrides_of_evaluation(given.overrides, n=given.n))
            return _run(config, given, command, evaluate=True)
        if not any(override.startswith("model") for override in given.overrides):
            raise UserError("evaluate needs a run or a model, as in rlvr.evaluate(model='embedded', n=64)")
        composed = overrides_of_evaluation(given.overrides, n=given.n, config_name="config")
        return _run(load_config(composed), given, command, evaluate=True)


def load_run(folder: str | os.PathLike[str]) -> Run:
    """A run from its folder, at whatever stage it is.

    Raises:
        UserError: where there is none; it names those below the folder.
    """
    path = at_home(os.fspath(folder))
    if not (path / "config.yaml").is_file():
        raise no_run(path)
    return Run(path)


def _run(config: Config, given: Any, command: str, *, evaluate: bool = False) -> Run:
    """A run in the time and the processes that the words of a command give."""
    from rlvr.runs.sweep import run_with_display

    until, processes = deadline(given.stop_after_minutes), given.gpus_per_run
    return Run(
        run_with_display(config, Start(evaluate, deadline=until, processes=processes, command=command))
    )


def _read(verb: str, words: list[str]) -> Any:
    """The words of a command, held against what it takes."""
    for word in words:
        if not isinstance(word, str) or word.startswith("-"):
            raise UserError(
                f"{word!r} is no override: accepted is key=value, as in 'seed=2'; flags are the shell's"
            )
    return read(next(each for each in VERBS if each.name == verb), words)


def _written(keys: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Keyword arguments as overrides."""
    for name, value in keys.items():
        if isinstance(value, Mapping) and value:
            yield from _written(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={hydra_text(value)}"
