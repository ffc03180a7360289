"""What other packages add to rlvr. They are found by their entry point; nothing has to be forked.

    [project.entry-points."rlvr.plugins"]
    mine = "my_package:plugin"        # an instance of `Plugin`

`examples/advantage_scaling` is a whole one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from rlvr.errors import UserError

GROUP = "rlvr.plugins"
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Plugin:
    """The additions of one package; all are optional.

    Methods (all but the last two) are functions or classes as `rlvr.config.registry` describes them: option
    -> function, whose keyword-only parameters are the option's keys.

    Attributes:
        conf: a folder of config groups as `conf/` has them (`advantage_scaling/<option>.yaml`, `model/...`).
        advantages: estimators, `algorithm.advantage`.
        advantage_scalings: weights of advantages, the group `advantage_scaling`.
        losses: `algorithm.loss`.
        graders: the reward where it is not correctness, the group `reward`.
        rewards: what is added to a reward; each is a key of `algorithm`.
        credits: weights of tokens, the group `credit`.
        group_sizes: rollouts of a problem, the group `group_size`.
        curricula: which problem next, the group `curriculum`.
        problem_sources: name -> function, as in `rlvr.problems.SOURCES`.
        verifiers: name -> function, as in `rlvr.verification.VERIFIERS`.
    """

    conf: Path | None = None
    advantages: Functions = field(default_factory=dict)
    advantage_scalings: Functions = field(default_factory=dict)
    losses: Functions = field(default_factory=dict)
    graders: Functions = field(default_factory=dict)
    rewards: Functions = field(default_factory=dict)
    credits: Functions = field(default_factory=dict)
    group_sizes: Functions = field(default_factory=dict)
    curricula: Functions = field(default_factory=dict)
    problem_sources: Functions = field(default_factory=dict)
    verifiers: Functions = field(default_factory=dict)


@cache
def installed() -> dict[str, Plugin]:
    """The plug-ins of this environment by name, in alphabetical order.

    Raises:
        UserError: for one that fails to load or is not as `Plugin` says; none is left out in silence.
    """
    found = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            plugin = entry.load()
            validate(plugin)
        except UserError as error:
            raise UserError(f"plug-in {entry.name!r} ({entry.value}): {error}") from error
        except (Exception, SystemExit) as error:  # it is another's code that runs here
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"plug-in {entry.name!r} ({entry.value}) can't be loaded: {reason}; install it again or "
                "uninstall it"
            ) from error
        found[entry.name] = plugin
    return found


def validate(plugin: Any) -> None:
    """Raise UserError for what is no plug-in, or one that adds what rlvr could not call."""
    from rlvr.config import registry

    if not isinstance(plugin, Plugin):
        raise UserError(
            f"it is a {type(plugin).__name__}, accepted is an instance of rlvr.config.plugins.Plugin"
        )
    if plugin.conf is not None and not Path(plugin.conf).is_dir():
        raise UserError(f"its config folder {plugin.conf} is not there: install the plug-in again")
    for kind in (item.name for item in fields(plugin) if item.name != "conf"):
        functions = getattr(plugin, kind)
        if not isinstance(functions, Mapping):
            raise UserError(
                f"its {kind} are a {type(functions).__name__}, accepted is a dict: name -> function"
            )
        for option, function in functions.items():
            if not isinstance(option, str) or not callable(function):
                raise UserError(
                    f"its {kind} hold {option!r}: {function!r}, accepted is a name and a function"
                )
            if kind in registry.KINDS:
                registry.validate(kind, option, function)


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
    return [Path(plugin.conf) for plugin in installed().values() if plugin.conf]
