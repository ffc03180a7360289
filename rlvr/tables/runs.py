"""Which runs a table is made of."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from rlvr.errors import UserError
from rlvr.files.run_directory import check_files
from rlvr.files.run_files import RunFiles
from rlvr.problems import is_fixed
from rlvr.tables.settings import evaluated_settings, judged_settings, said
from rlvr.tables.spec import TableSpec


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


def runs_frame(runs: Sequence[RunFiles]) -> pd.DataFrame:
    """Where a table's numbers are from: of each run its arm, seed, folder, commit and measured step."""
    rows = [
        (run.arm, run.seed, run.directory.as_posix(), run.commit, run.summary.get("checkpoint_step"))
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "folder", "commit", "step"])


def choice(spec: TableSpec, runs: Sequence[RunFiles]) -> str:
    """A sentence on which checkpoints are measured, for the table's notes; "" where nothing was trained."""
    whole = (run for run in runs if (run.directory / "config.yaml").is_file())
    configs = [run.config for run in whole if run.trains]
    if not configs:
        return ""
    config = configs[0]
    if config.evaluation.checkpoint == "last":
        return "Measured is the last checkpoint of every run."
    tasks = [task for task in config.benchmark.tasks.values() if task.domain == "in_domain"]
    own = [spec.label(task.name) for task in tasks if config.evaluation.select_on == "test" or is_fixed(task)]
    on = "on other problems than these, of the same generators"
    if own:
        on = f"on the problems of this table ({', '.join(own)}), with other samples"
        on += " and else on others of the same generators" if len(own) < len(tasks) else ""
    # where a table says nothing, as one that started none of its runs, these say whether they had a limit
    limited = spec.checkpoint != "best" and any(c.evaluation.latest_step is not None for c in configs)
    limit = ", among those up to its baseline's" if limited else ""
    best = f"the best pass@{config.evaluation.select_by} in validation"
    return f"Measured is the checkpoint of each run with {best}{limit}: {on}."


def otherwise(runs: Sequence[RunFiles], benchmarks: Iterable[str] = ()) -> str:
    """A sentence on runs that were evaluated otherwise than most, for the table's notes; "" if none was.

    Args:
        benchmarks: whose samples are asked how they were made and judged.
    """
    names = list(benchmarks)
    whole = [run for run in runs if (run.directory / "config.yaml").is_file()]
    settings = [evaluated_settings(run.config) | judged_settings(run, names) for run in whole]
    found = []
    for key in dict.fromkeys(key for one in settings for key in one):
        values = [(run, said(one[key])) for run, one in zip(whole, settings, strict=True) if key in one]
        usual = Counter(value for _, value in values).most_common(1)[0][0]
        for run, value in values:
            if value != usual:
                found.append(f"{run.arm}, seed {run.seed}: {key}={value}, not {usual}")
    return f"Not evaluated as the others, which is in their numbers too: {'; '.join(found)}." if found else ""


def remark(run: RunFiles) -> str:
    """A sentence on what was not as it should be, for the table's notes; "" where all was."""
    damaged = run.summary.get("evaluated", {}).get("damaged")
    if not damaged:
        return ""
    return (
        f"{run.arm}, seed {run.seed}: checkpoint {', '.join(damaged)} was the better one by validation, but "
        f"is damaged; step {run.summary['checkpoint_step']} was evaluated instead."
    )
