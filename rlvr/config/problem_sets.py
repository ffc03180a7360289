"""The data sets of a run: what it trains on, the parts of a mixture, and benchmarks; who judges them."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from rlvr.config import plugins
from rlvr.config.schema import Config, ProblemsConfig
from rlvr.config.signatures import names_in
from rlvr.errors import UserError, refuse_unknown
from rlvr.functions.source import is_file_function

MIXTURE = "mixture"  # the source of data that have parts


def problem_sets(config: Config) -> dict[str, ProblemsConfig]:
    """Every data set by its key."""
    parts = {f"data.parts.{name}": part for name, part in config.data.parts.items()}
    tasks = {f"benchmark.tasks.{name}": task for name, task in config.benchmark.tasks.items()}
    return {"data": config.data, **parts, **tasks}


def check_parts(data: DictConfig) -> None:
    """Refuse a mixture of nothing, and keys of a mixture that only its parts have; give it their size."""
    if (data.source == MIXTURE) != bool(data.parts):
        given = ",".join(data.parts)
        raise UserError(
            f"data={data.name} has the parts {given}, which only a mixture has: accepted is data=[{given}]"
            if data.parts
            else f"data={data.name} has no parts: accepted are data sets, as data=[countdown,arithmetic]"
        )
    if not data.parts:
        return
    chosen = [name for name, part in data.parts.items() if not OmegaConf.is_missing(part, "source")]
    refuse_unknown("part of data.parts", data.parts, chosen)  # one that has nothing but the keys given to it
    sizes = [part.size for part in data.parts.values()]
    total = None if None in sizes else sum(sizes)
    given = {
        "size": data.size not in (None, total),
        "seed": data.seed,
        "path": data.path,
        "parameters": data.parameters,
    }
    for name in (name for name, value in given.items() if value):
        raise UserError(
            f"data.{name} with data={data.name}: accepted is data.parts.<name>.{name}, of one of "
            f"{', '.join(data.parts)}"
        )
    data.size = total


def check_verifiers(config: Config) -> None:
    """Refuse a verifier that there is not, which would be found out when a step has been sampled, and one
    that would be passed over."""
    accepted = verifiers()
    for key, part in problem_sets(config).items():
        by_value, fields = verifiers_of_rows(part), part.parameters.get("fields")
        named = {"verifier": part.verifier, "parameters.verifier": part.parameters.get("verifier")}
        named |= {f"parameters.verifiers.{value}": verifier for value, verifier in by_value.items()}
        for name, verifier in named.items():
            if verifier and not is_file_function(verifier):
                refuse_unknown(f"{key}.{name}", [verifier], accepted)
        column = fields.get("verifier") if isinstance(fields, dict) else None
        if by_value and not column:
            raise UserError(
                f"{key}.parameters.verifiers without fields.verifier, the field whose values it names: "
                f"accepted is {key}.parameters.fields.verifier=data_source, or another field, beside it"
            )
        if column and part.verifier:
            raise UserError(
                f"{key}.verifier={part.verifier} with {key}.parameters.fields.verifier={column}: accepted is "
                "one of the two, the first for all rows, the second where each says it"
            )


def verifiers_of_rows(part: ProblemsConfig) -> dict[str, Any]:
    """The verifiers of a data set by what a field of its rows says."""
    given = part.parameters.get("verifiers")
    return given if isinstance(given, dict) else {}


def verifiers() -> dict[str, Any]:
    """All that may judge, by name; composing a config imports none of them."""
    own = [name for table in ("VERIFIERS", "POOLED") for name in names_in("verification/__init__.py", table)]
    return plugins.added("verifiers", dict.fromkeys(own))
