"""A selection: the problems that are worth training on, chosen from how an earlier run went on all of them.

`rlvr select` makes it (`rlvr.select`); `curriculum=lim`, `linear` and `random_subset` train on it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rlvr.config import Config, SelectionConfig
from rlvr.errors import UserError
from rlvr.problems.drawn import ids_of
from rlvr.problems.problem import Problem
from rlvr.tracking.run_directory import fingerprint_of, write_whole


@dataclass(frozen=True, slots=True)
class Selection:
    """What a selection file holds.

    Attributes:
        method: "lim", "linear" or "random_subset".
        data: `fingerprint_of` the ids of all problems that it was chosen from, in order.
        run: the run whose accuracies were looked at.
        settings: what the method was given: threshold or share, epochs, seed.
        flops: spent by that run, as far as the method needs it: nothing for a random subset.
        selected: ids, in the order of the data.
        scores: problem id -> score; problems without one are left out.
    """

    method: str
    data: str
    run: str
    settings: dict[str, float | int]
    flops: float
    selected: list[str]
    scores: dict[str, float]


def load_selection(config: Config, problems: Sequence[Problem]) -> Selection | None:
    """The selection that a config's curriculum needs; None where it needs none.

    Raises:
        UserError: if it is not there, was made by another method, or from other problems than these.
    """
    if not isinstance(config.curriculum, SelectionConfig):
        return None
    method, file = config.curriculum.name, config.curriculum.selection
    if file is None or not Path(file).exists():
        raise UserError(
            f"curriculum={method} needs curriculum.selection=<file>, given is {file}: "
            f"make one with `rlvr select method={method} run=<a run on all of the data>`"
        )
    selection = Selection(**json.loads(Path(file).read_text()))
    if selection.method != method:
        raise UserError(
            f"{file} was made with method={selection.method}: accepted is curriculum={selection.method}, "
            f"not {method}"
        )
    if selection.data != fingerprint_of(ids_of(problems)):
        raise UserError(
            f"{file} was selected from another data set than data={config.data.name} with data.size="
            f"{config.data.size}: select again from a run on this data"
        )
    return selection


def write_selection(selection: Selection, file: Path) -> None:
    write_whole(file, json.dumps(asdict(selection), indent=1) + "\n")
