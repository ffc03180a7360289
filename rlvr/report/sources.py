"""What a report is about: the runs below a folder, and the table they are the cells of."""

from collections.abc import Sequence
from pathlib import Path

from rlvr.errors import UserError, nearest
from rlvr.files.run_directory import check_files, run_folders
from rlvr.files.run_files import RunFiles
from rlvr.tables.adhoc import table_of_runs
from rlvr.tables.names import read_table, tables
from rlvr.tables.spec import TableSpec


def find_runs(path: Path) -> list[RunFiles]:
    """The run in a folder or all runs below it, those that don't train first, then by arm and seed.

    To a single run the untrained policy of its experiment is added, if that has been evaluated: what
    was forgotten can only be seen against it.

    Raises:
        UserError: where there is no run, or runs of several experiments.
    """
    if (path / "config.yaml").is_file():
        runs = [RunFiles(path)]
        siblings = map(RunFiles, run_folders(path.parent.parent)) if runs[0].trains else []
        untrained = [run for run in siblings if run.finished and not run.trains]
        # where folder= has put the run, anything may lie beside it
        runs += [run for run in untrained if run.config.experiment == runs[0].config.experiment]
    else:
        runs = [RunFiles(folder) for folder in run_folders(path)]
    runs = [run for run in runs if run.config.experiment != "profiles"]
    if not runs:
        known = sorted({str(folder.parent.parent) for folder in run_folders(Path("results/runs"))})
        raise UserError(
            f"{path} holds no run: accepted are a run's folder (with config.yaml) and folders above runs"
            f"{nearest(path, known)}"
        )
    if len(experiments := sorted({run.config.experiment for run in runs})) > 1:
        raise UserError(
            f"{path} holds runs of several experiments, a report is about one: give the folder of "
            f"{' or '.join(experiments)}"
        )
    for run in runs:
        if run.finished:
            check_files(run.directory)
    return sorted(runs, key=lambda run: (run.trains, run.arm, run.seed))


def table_of(runs: Sequence[RunFiles]) -> TableSpec:
    """The table's file in `experiments/` that the runs belong to, or one made of what they have in common.

    Where one arm is trained, or some are none of the table's, only names are taken from its file.
    """
    name, _, scale = runs[0].config.experiment.rpartition("/")
    if name not in tables():
        return table_of_runs(runs)
    spec = read_table(name, scale)
    trained = {run.arm for run in runs if run.trains}
    whole = len(trained) > 1 and {run.arm for run in runs} <= spec.arm_labels.keys()
    return spec if whole else table_of_runs(runs, like=spec)
