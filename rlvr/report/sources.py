"""What a report is about: the runs below a folder, and the table they are the cells of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config import EXPERIMENTS, Config, arm_name, check
from rlvr.errors import UserError, nearest
from rlvr.files.run_directory import (
    check_files,
    read_config,
    read_provenance,
    read_summary,
    run_folders,
)
from rlvr.tables.spec import arm_label, read_spec

DOMAINS = {"in_domain": "In-domain", "out_of_domain": "Out-of-domain"}


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """One arm under one seed, at whatever stage it is.

    Attributes:
        summary: summary.json, empty before there is one.
        provenance: provenance.json, likewise.
    """

    directory: Path
    config: Config
    summary: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def arm(self) -> str:
        return arm_name(self.config)

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def trained(self) -> bool:
        """Whether it trains at all; the base policy does not."""
        return self.config.training.steps > 0

    @property
    def finished(self) -> bool:
        return self.summary.get("status") == "finished"


def find_runs(path: Path) -> list[ReportedRun]:
    """The run in a folder or all runs below it, those that don't train first, then by arm and seed.

    To a single run the untrained policy of its experiment is added, if that has been evaluated: what
    was forgotten can only be seen against it.

    Raises:
        UserError: where there is no run, or runs of several experiments.
    """
    if (path / "config.yaml").is_file():
        runs = [read_run(path)]
        siblings = map(read_run, run_folders(path.parent.parent)) if runs[0].trained else []
        runs += [run for run in siblings if not run.trained and run.finished]
    else:
        runs = [read_run(folder) for folder in run_folders(path)]
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
    return sorted(runs, key=lambda run: (run.trained, run.arm, run.seed))


def read_run(folder: Path) -> ReportedRun:
    if (summary := read_summary(folder)).get("status") == "finished":
        check_files(folder)
    return ReportedRun(
        directory=folder,
        config=check(read_config(folder)),
        summary=summary,
        provenance=read_provenance(folder),
    )


def table_of(runs: Sequence[ReportedRun]) -> dict[str, Any]:
    """The table's file in `experiments/` that the runs belong to, or one made of what they have in common.

    Where they are one arm of a table, or more arms than it has, only names are taken from its file.
    """
    name, _, scale = runs[0].config.experiment.rpartition("/")
    if not is_table(name):
        return plain_table(runs)
    spec = read_spec(EXPERIMENTS / f"{name}.yaml", scale)
    trained = {run.arm for run in runs if run.trained}
    whole = len(trained) > 1 and trained <= {arm["name"] for arm in spec["arms"]}
    return spec if whole else plain_table(runs, spec)


def is_table(name: str) -> bool:
    """Whether `experiments/` has the table."""
    return (EXPERIMENTS / f"{name}.yaml").is_file()


def plain_table(runs: Sequence[ReportedRun], like: dict[str, Any] | None = None) -> dict[str, Any]:
    """A table of the arms and benchmarks of some runs, in the names of another table where it has them."""
    labels = {arm["name"]: arm_label(arm) for arm in like["arms"]} if like else {}
    columns: dict[str, list[str]] = {}
    for run in runs:
        for name, task in run.config.benchmark.tasks.items():
            if name not in columns.setdefault(task.domain, []):
                columns[task.domain].append(name)
    ks = runs[-1].config.evaluation.k
    arms = list(dict.fromkeys(run.arm for run in runs))
    trained = [run for run in runs if run.trained]
    single = str(trained[0].directory) if len(trained) == 1 else None
    return {
        "name": runs[0].config.experiment,
        "title": single or runs[0].config.experiment,
        "metrics": [f"pass@{k}" for k in dict.fromkeys([min(ks), max(ks)])],
        "columns": columns,
        "labels": DOMAINS | (like or {}).get("labels", {}),
        "arms": [{"name": arm, "label": labels.get(arm, arm)} for arm in arms],
    }
