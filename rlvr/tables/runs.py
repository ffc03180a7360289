"""Finished runs, read from the files that they left behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rlvr import evaluation
from rlvr.errors import UserError
from rlvr.files.run_directory import check_files, read_provenance, read_summary


@dataclass(frozen=True, slots=True)
class Run:
    """One arm under one seed, trained and evaluated.

    Attributes:
        scale: name of the scale it ran at.
        commit: of the code it ran; "-dirty" is added if files differed from it, "unknown" is an installed
            package's.
        seconds: time of all its stages together.
        remark: a sentence on what was not as it should be, for the table's notes; "" where all was.
    """

    directory: Path
    arm: str
    seed: int
    scale: str
    commit: str
    seconds: float
    remark: str = ""

    def counts(self, benchmark: str) -> pd.DataFrame | None:
        """`rlvr.evaluation.counts` of a benchmark; None if it was not evaluated."""
        samples = self.directory / "evaluation" / f"{benchmark}.parquet"
        return evaluation.counts(samples) if samples.exists() else None


def finished_runs(run_dirs: Iterable[Path]) -> list[Run]:
    """The runs whose summary says "finished", ordered by seed; all others count as not run.

    Raises:
        UserError: for two runs of the same arm and seed, runs at different scales, or files that are not
            as their run left them.
    """
    runs: dict[tuple[int, str], Run] = {}
    for directory in map(Path, run_dirs):
        summary = read_summary(directory)
        if summary.get("status") != "finished":
            continue
        key = summary["seed"], summary["arm"]
        if key in runs:
            raise UserError(
                f"arm {summary['arm']!r}, seed {summary['seed']} is in both {runs[key].directory} and "
                f"{directory}: accepted is one run an arm and seed"
            )
        check_files(directory)
        runs[key] = _read(directory, summary)
    if len(scales := {run.scale for run in runs.values()}) > 1:
        raise UserError(f"a table got runs of the scales {', '.join(sorted(scales))}: accepted is one scale")
    return [runs[key] for key in sorted(runs)]


def _read(directory: Path, summary: dict) -> Run:
    git = read_provenance(directory).get("git", {})
    return Run(
        directory=directory,
        arm=summary["arm"],
        seed=summary["seed"],
        scale=summary["scale"],
        commit=git.get("commit", "unknown")[:12] + ("-dirty" if git.get("dirty") else ""),
        seconds=sum(summary["seconds"].values()),
        remark=_remark(summary),
    )


def _remark(summary: dict) -> str:
    damaged = summary.get("evaluated", {}).get("damaged")
    if not damaged:
        return ""
    return (
        f"{summary['arm']}, seed {summary['seed']}: checkpoint {', '.join(damaged)} was the better one by "
        f"validation, but is damaged; step {summary['checkpoint_step']} was evaluated instead."
    )
