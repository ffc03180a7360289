"""Names and paths of a config that decide where files are written: they stay where they are said to be."""

import re
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from rlvr.errors import UserError

PATHS = (
    *(
        "runs",
        "folder",
        "model.path",
        "model.chat_template",
        "data.path",
        "data.root",
        "data.parameters.path",
    ),
    *("profile.file", "curriculum.selection"),
)
_OF_SEVERAL = re.compile(r"(benchmark\.tasks|data\.parts)\.\w+\.(path|root)")


def is_path(key: str) -> bool:
    """Whether a key of the config is the place of a file or folder."""
    return key in PATHS or _OF_SEVERAL.fullmatch(key) is not None


def expand_home(config: DictConfig) -> None:
    """`~` at the start of a path is the home folder, whatever the shell made of it."""
    of_several = []
    for group in ("benchmark.tasks", "data.parts"):
        sets = OmegaConf.select(config, group)
        if isinstance(sets, DictConfig):  # anything else the schema refuses
            of_several += [f"{group}.{name}.{key}" for name in sets for key in ("path", "root")]
    for key in (*PATHS, *of_several):
        given = OmegaConf.select(config, key)
        if isinstance(given, str) and given.startswith("~"):
            OmegaConf.update(config, key, str(at_home(given)))


def at_home(path: str) -> Path:
    """A path with the home folder for `~`.

    Raises:
        UserError: for `~name` where there is no such user, and where this one has no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: no home folder is known for {Path(path).parts[0]}; write it out") from error


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
