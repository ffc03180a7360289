"""Which runs a table is made of."""

from collections.abc import Iterable

from rlvr.errors import UserError
from rlvr.files.run_directory import check_files
from rlvr.files.run_files import RunFiles


def finished_runs(runs: Iterable[RunFiles]) -> list[RunFiles]:
    """The runs whose summary says "finished", ordered by seed; all others count as not run.

    Raises:
        UserError: for two runs of the same arm and seed, runs at different scales, or files that are not
            as their run left them.
    """
    found: dict[tuple[int, str], RunFiles] = {}
    for run in runs:
        if not run.finished:
            continue
        key = run.seed, run.arm
        if key in found:
            raise UserError(
                f"arm {run.arm!r}, seed {run.seed} is in both {found[key].directory} and {run.directory}: "
                "accepted is one run an arm and seed"
            )
        check_files(run.directory)
        found[key] = run
    if len(scales := {run.scale for run in found.values()}) > 1:
        raise UserError(f"a table got runs of the scales {', '.join(sorted(scales))}: accepted is one scale")
    return [found[key] for key in sorted(found)]


def remark(run: RunFiles) -> str:
    """A sentence on what was not as it should be, for the table's notes; "" where all was."""
    damaged = run.summary.get("evaluated", {}).get("damaged")
    if not damaged:
        return ""
    return (
        f"{run.arm}, seed {run.seed}: checkpoint {', '.join(damaged)} was the better one by validation, but "
        f"is damaged; step {run.summary['checkpoint_step']} was evaluated instead."
    )
