"""The methods one can choose among: one kind of registry for all of them.

A method is a function. Its positional parameters are what it takes, by name, from what its kind offers
(`KINDS`); its keyword-only parameters, with types and defaults, are the keys of its option:

    def focal(correct, group_index, *, gamma: Annotated[float, Limits(at_least=0)] = 0.5): ...
    ADVANTAGE_SCALINGS = {"focal": focal}       # advantage_scaling=focal advantage_scaling.gamma=1

One that remembers is a class: the keys are the keyword-only parameters of `__init__`, and an instance is
called like the function. It has `observe` (which takes its parameters by name too, and is called once a step
with all that was sampled), `state_dict` and `load_state_dict`; its state, tensors and plain values, is part
of a checkpoint. Calls must not change it: with dynamic sampling there are several in a step.

rlvr's own methods stand in a dict of their module (`KINDS`), those of other packages in a `Plugin`.
"""

import copy
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from functools import cache
from typing import Annotated, Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlvr.config import plugins
from rlvr.config.limits import Limits
from rlvr.config.schema import AlgorithmConfig
from rlvr.config.signatures import signatures_of
from rlvr.errors import UserError, nearest


@dataclass(frozen=True)
class Kind:
    """A place where one method is chosen among several.

    Attributes:
        key: what chooses: a config group, or a key of one.
        module, table: the file below `rlvr/` and the dict in it with rlvr's own methods.
        offers: names of what a method may take; tensors have an entry a rollout, of all groups.
    """

    key: str
    module: str
    table: str
    offers: tuple[str, ...]


ROLLOUTS = (
    "correct",  # float: 1, 0, or NaN where nothing could be judged
    "group_index",  # int64: the group of each rollout
    "lengths",  # int64: tokens of the completion
    "logprobs",  # float: log-probability of the completion when it was sampled
    "token_ids",  # list[list[int]]: tokens of the completion
    "texts",  # list[str]: text of the completion
    "problem_ids",  # list[str]: the problem of each rollout
    "max_tokens",  # int: the longest completion that could be sampled
)
COMPLETIONS = ("problems", "texts", "token_ids", "verdicts")  # lists with an entry for each completion
KINDS: dict[str, Kind] = {
    "graders": Kind("reward", "verification/grading.py", "GRADERS", COMPLETIONS),
    "rewards": Kind("algorithm", "algorithms/rewards.py", "REWARDS", ROLLOUTS),
    "advantages": Kind(
        "algorithm.advantage", "algorithms/advantages.py", "ADVANTAGES", ("rewards", *ROLLOUTS)
    ),
    "advantage_scalings": Kind(
        "advantage_scaling", "algorithms/scaling.py", "SCALINGS", ("advantages", "rewards", *ROLLOUTS)
    ),
    "losses": Kind("algorithm.loss", "algorithms/losses.py", "LOSSES", ("tokens",)),
    "credits": Kind("credit", "algorithms/credit.py", "CREDITS", ("completions",)),
    "group_sizes": Kind(
        "group_size", "curriculum/group_size.py", "GROUP_SIZES", ("problem", "successes", "samples")
    ),
    "curricula": Kind(
        "curriculum",
        "curriculum/__init__.py",
        "CURRICULA",
        ("problems", "group_size", "steps", "batch_size", "run_seed", "profile", "selected"),
    ),
}
REMEMBER = ("advantages", "advantage_scalings", "rewards", "curricula")  # whose state a checkpoint holds
MEMORY = ("observe", "state_dict", "load_state_dict")
GROUPS = {kind.key: name for name, kind in KINDS.items() if "algorithm" not in kind.key}


class Method:
    """A chosen method with its keys set.

    Attributes:
        takes: names of its positional parameters.
        function: called with them; for a class an instance of it.
    """

    def __init__(self, option: str, method: Callable[..., Any], settings: Any):
        self.option = option
        keys = {name: getattr(settings, name) for name in keyword_parameters(method)}
        if inspect.isclass(method):
            self.function = method(**keys)
        else:
            self.function = functools.partial(method, **keys) if keys else method
        self.takes = positional_parameters(method)

    def __call__(self, offered: Mapping[str, Any]) -> Any:
        return self.function(*(offered[name] for name in self.takes))

    @property
    def remembers(self) -> bool:
        return hasattr(self.function, "load_state_dict")

    def observe(self, offered: Mapping[str, Any]) -> None:
        """Tell a method that remembers what was sampled in a step."""
        if hasattr(self.function, "observe"):
            self.function.observe(*(offered[name] for name in _parameters(self.function.observe, POSITIONAL)))


def methods(kind: str) -> dict[str, Callable[..., Any]]:
    """All options of a kind; of rlvr's own ones the signature alone, so that nothing heavy is imported."""
    return plugins.added(kind, signatures_of(KINDS[kind].module, KINDS[kind].table))


def takes(kind: str, option: str) -> list[str]:
    """What an option of a kind takes, by name."""
    return positional_parameters(methods(kind)[option])


def variants(group: str) -> dict[str, type]:
    """The schemas of the options of a config group that chooses a method."""
    return {option: schema_of(option, method) for option, method in methods(GROUPS[group]).items()}


def algorithm_schema(loss: str, advantage: str) -> type:
    """`AlgorithmConfig` with the keys of a loss, of an estimator and of every reward."""
    rewards = tuple(methods("rewards").items())
    return _algorithm_schema(methods("losses")[loss], methods("advantages")[advantage], rewards)


@cache
def _algorithm_schema(loss: Callable, advantage: Callable, rewards: tuple[tuple[str, Callable], ...]) -> type:
    columns = [*keys_of(loss), *keys_of(advantage)]
    for option, reward in rewards:
        schema = make_dataclass(f"{option.title().replace('_', '')}Config", keys_of(reward))
        columns.append((option, schema, field(default_factory=schema)))
    taken = [item.name for item in fields(AlgorithmConfig)]
    for name, _, _ in columns:
        if name in taken:
            raise UserError(
                f"algorithm.{name} has two meanings, as a key of the chosen loss, of the advantage, of a "
                "reward or of all algorithms: give the plug-in's another name"
            )
        taken.append(name)
    return make_dataclass("AlgorithmConfig", columns, bases=(AlgorithmConfig,))


@cache
def schema_of(option: str, method: Callable[..., Any]) -> type:
    """The config of an option: its name, and the keyword-only parameters of its function."""
    columns = [("name", str, field(default=option)), *keys_of(method)]
    return make_dataclass(f"{option.title().replace('_', '')}Config", columns)


@cache
def keys_of(method: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """The keyword-only parameters of a function, or of a class, as fields of a dataclass.

    Raises:
        UserError: for a parameter without a type.
    """
    if not (keywords := keyword_parameters(method)):
        return []
    call = method.__init__ if inspect.isclass(method) else method
    hints = typing.get_type_hints(call, include_extras=True)
    return [_field(name, hints.get(name), default) for name, default in keywords.items()]


def _field(name: str, hint: Any, default: Any) -> tuple[str, Any, Any]:
    if hint is None:
        raise UserError(f"its parameter {name!r} has no type: write {name}: float")
    limits = Limits()
    if typing.get_origin(hint) is Annotated:
        hint, *marks = typing.get_args(hint)
        limits = next((mark for mark in marks if isinstance(mark, Limits)), limits)
    if typing.get_origin(hint) is Literal:
        hint, limits = str, Limits(choices=typing.get_args(hint))
    if default is inspect.Parameter.empty:
        default = "???"  # omegaconf's mark for a value that must be given
    metadata = {"limits": limits}
    if isinstance(default, list | dict):
        return name, hint, field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return name, hint, field(default=default, metadata=metadata)


def is_switched_on(method: Any, settings: Any) -> bool:
    """Whether any key of a reward is not at its default."""
    return any(getattr(settings, key) != default for key, default in keyword_parameters(method).items())


KEYWORD = (inspect.Parameter.KEYWORD_ONLY,)
POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


def keyword_parameters(method: Callable[..., Any]) -> dict[str, Any]:
    """Name -> default of the keys of a method."""
    return _parameters(method, KEYWORD)


def positional_parameters(method: Callable[..., Any]) -> list[str]:
    """What a method takes, by name."""
    if inspect.isclass(method):
        return list(_parameters(method.__call__, POSITIONAL))[1:]  # without self
    return list(_parameters(method, POSITIONAL))


def _parameters(call: Callable[..., Any], kinds: tuple[Any, ...]) -> dict[str, Any]:
    parameters = inspect.signature(call).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind in kinds}


def validate(kind: str, option: str, method: Callable[..., Any]) -> None:
    """Raise UserError, in one sentence, for a method that could not be configured or called."""
    offers, where = KINDS[kind].offers, f"{option!r} of its {kind}"
    try:
        schema = schema_of(option, method)
        OmegaConf.structured(schema)
        takes = positional_parameters(method)
        if inspect.isclass(method) and hasattr(method, "observe"):
            takes += list(_parameters(method.observe, POSITIONAL))[1:]
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (TypeError, ValueError, NameError, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{where} has a signature that can't be a config: {reason}") from error
    for name in takes:
        if name not in offers:
            raise UserError(
                f"{where} takes {name!r}: accepted are {', '.join(offers)}{nearest(name, offers)}; a key of "
                "the option stands behind a * among the parameters"
            )
    if kind not in REMEMBER and (own := [name for name in MEMORY if hasattr(method, name)]):
        raise UserError(
            f"{where} has {own[0]}, and only {', '.join(REMEMBER)} can remember: accepted is one without"
        )
    if hasattr(method, "state_dict") != hasattr(method, "load_state_dict"):
        raise UserError(f"{where} has one of state_dict and load_state_dict, accepted are both or none")
