"""Numbers that no run can mean, for every numeric key: refused before anything is sampled."""

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from rlvr.cli.main import main
from rlvr.config import load_config
from tests.attack.damage import RUN
from tests.attack.outcomes import Outcome, Tally, attempt, spread, tally

HUGE = "99999999999999999999"  # of what has no upper bound: a deadline, a clip; or found as training goes
ODD = ("-1", "nan", "inf", "-inf", "1e400", HUGE, "0.5.5", "''")


def numeric_keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Keys of a run's config that hold a number, or could."""
    hints = get_type_hints(type(config))
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from numeric_keys(value, f"{prefix}{item.name}.")
        kinds = {hints[item.name], *getattr(hints[item.name], "__args__", ())}
        if kinds & {int, float}:
            yield prefix + item.name


def tried(about: int | None) -> Iterator[tuple[str, Outcome, str]]:
    config = load_config(["advantage_scaling=focal", *RUN])
    for key, value in spread(itertools.product(numeric_keys(config), ODD), about):
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["train", "advantage_scaling=focal", *RUN, f"runs={folder}", f"{key}={value}"]
            result = attempt(lambda arguments=arguments: main(arguments), 30)
            outcome = result.failure
            if outcome is None:
                outcome = Outcome.SAME if may_be(key, value) else Outcome.SILENT
            elif outcome is Outcome.HANG and (key, value) == ("training.steps", HUGE):
                outcome = Outcome.SAME  # as many as were asked for, and the bar says of how many
            elif outcome is Outcome.SENTENCE and value != HUGE and any(Path(folder).rglob("step-000000")):
                outcome = Outcome.SILENT  # found only once a run had begun
            yield f"{key}={value}", outcome, result.output


def may_be(key: str, value: str) -> bool:
    """The odd values that mean something: null in other words, no limit, and keys that any number suits."""
    if key == "training.gradient_clip" and value in ("inf", "1e400"):  # gradients as they are
        return True
    return value in ("''", HUGE) or (key.endswith("entropy_coefficient") and value == "-1")


def settings(about: int | None = None) -> Tally:
    return tally("settings", tried(about))
