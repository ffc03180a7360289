"""Which runs a table is made of."""

from collections.abc import Iterable

from rlvr.errors import UserError
from rlvr.files.run_files import RunFiles


def finished_runs(runs: Iterable[RunFiles]) -> list[RunFiles]:
    """The runs whose summary says "finished", ordered by seed; all others count as not run.

    Raises:
        UserError: for two runs of the same arm and seed, or runs at different scales.
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
        found[key] = run
    if len(scales := {run.scale for run in found.values()}) > 1:
        raise UserError(f"a table got runs of the scales {', '.join(sorted(scales))}: accepted is one scale")
    return [found[key] for key in sorted(found)]
