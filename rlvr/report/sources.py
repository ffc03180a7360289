"""What a report is about: the runs below a folder, and the table they are the cells of."""

from collections.abc import Sequence
from pathlib import Path

from rlvr.config import EXPERIMENTS
from rlvr.errors import UserError, nearest
from rlvr.files.run_directory import check_files, run_folders
from rlvr.files.run_files import RunFiles
from rlvr.tables.spec import Arm, TableSpec, read_spec

DOMAIN_LABELS = {"in_domain": "In-domain", "out_of_domain": "Out-of-domain"}


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
        runs += [run for run in siblings if run.finished and not run.trains]
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

    Where they are one arm of a table, or more arms than it has, only names are taken from its file.
    """
    name, _, scale = runs[0].config.experiment.rpartition("/")
    if not is_table(name):
        return plain_table(runs, TableSpec())
    spec = read_spec(EXPERIMENTS / f"{name}.yaml", scale)
    trained = {run.arm for run in runs if run.trains}
    whole = len(trained) > 1 and trained <= set(spec.arm_labels)
    return spec if whole else plain_table(runs, spec)


def is_table(name: str) -> bool:
    """Whether `experiments/` has the table."""
    return (EXPERIMENTS / f"{name}.yaml").is_file()


def plain_table(runs: Sequence[RunFiles], like: TableSpec) -> TableSpec:
    """A table of the arms and benchmarks of some runs, in the names of another table where it has them."""
    columns: dict[str, list[str]] = {}
    for run in runs:
        for name, task in run.config.benchmark.tasks.items():
            if name not in columns.setdefault(task.domain, []):
                columns[task.domain].append(name)
    ks = runs[-1].config.evaluation.k
    trained = [run for run in runs if run.trains]
    single = str(trained[0].directory) if len(trained) == 1 else None
    return TableSpec(
        name=runs[0].config.experiment,
        title=single or runs[0].config.experiment,
        metrics=[f"pass@{k}" for k in dict.fromkeys([min(ks), max(ks)])],
        columns=columns,
        labels=DOMAIN_LABELS | like.labels,
        arms=[Arm(name, like.arm_labels.get(name, name)) for name in dict.fromkeys(run.arm for run in runs)],
    )
