"""What other packages add to rlvr. They are found by their entry point; nothing has to be forked.

    [project.entry-points."rlvr.plugins"]
    mine = "my_package:plugin"        # an instance of `Plugin`

`examples/advantage_scaling` is a whole one.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rlvr.errors import UserError

GROUP = "rlvr.plugins"


@dataclass(frozen=True)
class Plugin:
    """The additions of one package; all are optional.

    Attributes:
        conf: a folder of config groups as `conf/` has them (`advantage_scaling/<option>.yaml`, `model/...`).
        advantage_scalings: option -> function, as in `rlvr.algorithms.scaling.SCALINGS`.
        problem_sources: name -> function, as in `rlvr.problems.SOURCES`.
        verifiers: name -> function, as in `rlvr.verification.VERIFIERS`.
    """

    conf: Path | None = None
    advantage_scalings: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    problem_sources: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    verifiers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@cache
def installed() -> dict[str, Plugin]:
    """The plug-ins of this environment by name, in alphabetical order.

    Raises:
        UserError: for one that can't be imported or is no `Plugin`; none is left out in silence.
    """
    found = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            plugin = entry.load()
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"plug-in {entry.name!r} ({entry.value}) can't be loaded: {error}; install it again or "
                "uninstall it"
            ) from error
        if not isinstance(plugin, Plugin):
            raise UserError(
                f"plug-in {entry.name!r} ({entry.value}) is a {type(plugin).__name__}: accepted is an "
                "instance of rlvr.config.plugins.Plugin"
            )
        found[entry.name] = plugin
    return found


def added(kind: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """rlvr's own functions of a kind (`verifiers`, ...) and those of all plug-ins.

    Raises:
        UserError: where a plug-in takes a name that is taken.
    """
    everything = dict(own)
    for name, plugin in installed().items():
        for option, function in getattr(plugin, kind).items():
            if option in everything:
                raise UserError(
                    f"plug-in {name!r} adds {option!r} to {kind}, but that name is taken: give it another"
                )
            everything[option] = function
    return everything


def config_folders() -> list[Path]:
    """The plug-ins' folders of config groups, where Hydra looks after `conf/`."""
    folders = [plugin.conf for plugin in installed().values() if plugin.conf]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"a plug-in's config folder {folder} is not there: install the plug-in again")
    return folders


@cache
def schema_of(option: str, function: Callable[..., Any]) -> type:
    """The config of an option: its name, and the keyword-only parameters of its function.

    Raises:
        UserError: for a parameter without a type.
    """
    hints = typing.get_type_hints(function)
    columns: list[tuple[str, Any, Any]] = [("name", str, field(default=option))]
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.name not in hints:
            raise UserError(
                f"parameter {parameter.name!r} of {option!r} has no type: write {parameter.name}: float"
            )
        default = MISSING if parameter.default is inspect.Parameter.empty else parameter.default
        required = "???" if default is MISSING else default  # omegaconf's mark for a value that must be given
        columns.append((parameter.name, hints[parameter.name], field(default=required)))
    return make_dataclass(f"{option.title().replace('_', '')}Config", columns)
