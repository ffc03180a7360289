"""Where problems come from: each source is a function of (size, held_out, seed, **parameters)."""

import inspect
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rlvr.config import DataConfig, ProblemsConfig
from rlvr.config.plugins import added
from rlvr.data import Problem
from rlvr.errors import UserError, unknown
from rlvr.problems.champ import champ_problems
from rlvr.problems.countdown import countdown_problems
from rlvr.problems.dataset import dataset_problems, with_unique_ids
from rlvr.problems.gym import TASKS, gym_problems
from rlvr.problems.gym_words import worded_gym_problems
from rlvr.problems.lazy import LazyProblems, content_fingerprint, contents, ids_of
from rlvr.problems.maze import maze_problems

__all__ = [
    "SOURCES",
    "LazyProblems",
    "content_fingerprint",
    "contents",
    "ids_of",
    "is_fixed",
    "load_problems",
]

SOURCES: dict[str, Callable[..., Sequence[Problem]]] = {
    "countdown": countdown_problems,
    "maze": maze_problems,
    "dataset": dataset_problems,
    "reasoning_gym": worded_gym_problems,
    "champ": champ_problems,
    **{task: lambda task=task, **arguments: gym_problems(task, **arguments) for task in TASKS},
}


def is_fixed(config: ProblemsConfig) -> bool:
    """Whether they are a list beside which there are no others; else as many are drawn as are asked for."""
    return config.source in ("dataset", "champ", "mixture")


def load_problems(config: ProblemsConfig, *, held_out: bool) -> Sequence[Problem]:
    """The problems of a data set (`held_out=False`) or of a benchmark (`held_out=True`)."""
    if isinstance(config, DataConfig) and config.parts:
        return mixture(config, held_out=held_out)
    sources = added("problem_sources", SOURCES)
    if config.source not in sources:
        raise unknown("problem source", config.source, sources)
    if config.size is None and config.source in SOURCES and not is_fixed(config):
        raise UserError(
            f"size=null of {config.name}: {config.source} draws as many as it is asked for; give a number"
        )
    parameters = config.parameters if config.path is None else config.parameters | {"path": config.path}
    if config.source == "dataset":
        parameters = {"name": config.name, "root": config.root} | parameters
        if config.verifier is not None:
            parameters |= {"verifier": config.verifier}  # references that are not for it are not checked
    source = sources[config.source]
    given = {"size": config.size, "held_out": held_out, "seed": config.seed, **parameters}
    try:
        inspect.signature(source).bind(**given)
        problems = source(**given) if config.source in SOURCES else called(config.source, source, given)
    except TypeError as error:
        raise UserError(f"parameters of {config.name}: {error}") from error
    return problems if config.verifier is None else judged_by(problems, config.verifier)


def mixture(config: DataConfig, *, held_out: bool) -> list[Problem]:
    """The problems of all parts, one part after the other, which are the problems' `source`.

    The mixture's `verifier` judges them all where it has one, and its `root` is that of parts without one.
    A problem that comes from two parts is two problems.
    """
    problems: list[Problem] = []
    for name, part in config.parts.items():
        within = replace(part, root=part.root or config.root, verifier=config.verifier or part.verifier)
        problems += [replace(one, source=name) for one in load_problems(within, held_out=held_out)]
    return with_unique_ids(problems)


def called(name: str, source: Callable[..., Sequence[Problem]], given: dict[str, Any]) -> Sequence[Problem]:
    """The problems of a plug-in's source.

    Raises:
        UserError: for whatever it raises, with the last line of its own file that was at work.
    """
    try:
        return source(**given)
    except UserError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]  # without this function's own
        own = [frame for frame in frames if frame.filename == frames[0].filename]
        raise UserError(
            f"the problem source {name!r} failed in {own[-1].filename}, line {own[-1].lineno}: "
            f"{type(error).__name__}: {error}"
        ) from error


def judged_by(problems: Sequence[Problem], verifier: str) -> Sequence[Problem]:
    """The same problems with another verifier."""
    if isinstance(problems, LazyProblems):
        return LazyProblems(problems.ids, lambda id: replace(problems.generate(id), verifier=verifier))
    return [replace(problem, verifier=verifier) for problem in problems]
