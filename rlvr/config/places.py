"""Names and paths of a config that decide where files are written: they stay where they are said to be."""

from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rlvr.errors import UserError

PATHS = (
    *("runs", "folder", "model.path", "data.path", "data.parameters.path"),
    *("profile.file", "curriculum.selection"),
)


def expand_home(config: DictConfig) -> None:
    """`~` at the start of a path is the home folder, whatever the shell made of it."""
    tasks = OmegaConf.select(config, "benchmark.tasks") or {}
    for key in (*PATHS, *(f"benchmark.tasks.{name}.path" for name in tasks)):
        given = OmegaConf.select(config, key)
        if isinstance(given, str) and given.startswith("~"):
            OmegaConf.update(config, key, str(Path(given).expanduser()))


def check_names(experiment: str, arm: str | None, benchmarks: Iterable[str]) -> None:
    """Hold names that become folders and files against what they may be.

    Raises:
        UserError: for one that would lead out of `runs`, or that no file can have.
    """
    names = [("experiment", part) for part in experiment.split("/")]
    names += [("arm", arm)] if arm is not None else []
    names += [("benchmark", name) for name in benchmarks]
    for key, name in names:
        printable = name.isprintable() and len(name.encode(errors="replace")) <= 200
        if name in ("", ".", "..") or "/" in name or not printable:
            raise UserError(
                f"{key}: {name!r} can't be the name of a folder or file. Accepted are up to 200 printable "
                "characters without /, and not . or .."
                + ("; an experiment is one or several of them with / between" if key == "experiment" else "")
            )
