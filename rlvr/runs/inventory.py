"""What of a run's model, data and benchmarks is on this machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rlvr.config import Config
from rlvr.data import Problem
from rlvr.errors import NotHere, UserError
from rlvr.policy.location import find, local_files
from rlvr.policy.policy import load_policy
from rlvr.policy.recipes import RECIPES
from rlvr.policy.weights import check_stored
from rlvr.problems import LazyProblems, load_problems
from rlvr.problems.cleaning import overlap

MISSING = "MISSING"
Loaded = dict[str, Sequence[Problem] | UserError]


def load_all(config: Config) -> tuple[Loaded, Loaded]:
    """The training data and the benchmarks by name, each as problems or the reason why they can't be had.

    Sizes that the config leaves to a file become those of the file.
    """
    training, tested = {config.data.name: config.data}, config.benchmark.tasks
    loaded: list[Loaded] = []
    for sources, held_out in ((training, False), (tested, True)):
        loaded.append({})
        for name, source in sources.items():
            try:
                problems = loaded[-1][name] = load_problems(source, held_out=held_out)
            except UserError as error:
                loaded[-1][name] = error
            else:
                source.size = len(problems) if source.size is None else source.size
    return loaded[0], loaded[1]


def checks(config: Config, training: Loaded, tested: Loaded, of_table: bool) -> Iterator[tuple[str, str]]:
    """What of the run's model and data is on this machine, and whether training and benchmarks overlap.

    Each is a mark and a sentence: `MISSING` stands before what a run would not start without, and "LATER"
    before what can't be looked for from here.
    """
    if of_table and config.model.path in RECIPES and local_files(config.model) is None:
        yield "ok", f"model {config.model.path}, which is made before the first run"
    else:
        try:
            place = find(config.model)
            if Path(place).is_dir():
                check_stored(place)
                load_policy(config.model.path, settings=config.model, dtype=config.model.dtype, device="meta")
            yield "ok", f"model {place}"
        except UserError as error:
            yield _mark(error), str(error)
    for name, problems in [*training.items(), *tested.items()]:
        if isinstance(problems, UserError):
            yield _mark(problems), f"{name}: {problems}"
        else:
            yield "ok", f"{name}: {len(problems):,} problems"
    data = training[config.data.name]
    benchmarks = {name: found for name, found in tested.items() if not isinstance(found, UserError)}
    if isinstance(data, LazyProblems):
        yield "ok", f"{config.data.name} is drawn on the training side of the split"
    elif not isinstance(data, UserError):
        common = overlap(data, benchmarks)
        for name, ids in common.items():
            yield "OVERLAP", f"{len(ids)} problems of {name} are in {config.data.name}: {', '.join(ids[:3])}"
        if benchmarks and not common:
            yield "ok", f"no problem of the benchmarks ({', '.join(benchmarks)}) is in the training data"


def _mark(error: UserError) -> str:
    return "LATER" if isinstance(error, NotHere) else MISSING
