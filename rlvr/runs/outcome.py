"""What a person is told when runs end: their pass@k, where they are, what they cost, and what to do next."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from rlvr.config import Config
from rlvr.errors import UserError, printable
from rlvr.files.run_files import RunFiles
from rlvr.report import find_runs
from rlvr.report.provenance import flops
from rlvr.runs.display import percent_with_interval
from rlvr.tables.adhoc import chosen, differing, said, settings_of, table_of_runs, value_of
from rlvr.tables.collect import AVERAGE, measure, tidy
from rlvr.tables.panels import duration
from rlvr.tracking.symptoms import symptoms

UNSAID = ("arm", "experiment", "runs", "folder", "tracking", "hydra", "training.steps")


def print_outcome(runs: Sequence[tuple[Config, Path]], again: str = "") -> None:
    """The end of `rlvr train`, of one run or of a sweep.

    Args:
        again: the command that goes on with runs that are not done.
    """
    console = Console(markup=False, highlight=False)
    files = [RunFiles(path) for _, path in runs]
    done = [run for run in files if run.finished]
    trained = [run for run in files if is_trained(run)]
    if len(files) == 1 and done:
        print_run(console, done[0])
    elif done:
        console.print(arms_table(done))
        console.print("± is half of a 95 % interval over problems and seeds, averaged over benchmarks.")
    elif trained:
        console.print(validation_table(trained))
    for run in trained:
        for symptom in symptoms(run.metrics):
            name = "" if len(files) == 1 else f"{run.arm}, seed {run.seed}: "
            console.print(f"warning: {printable(name)}{printable(symptom)}", soft_wrap=True)
    folder = files[0].directory if len(files) == 1 else experiment_folder(files)
    console.print(f"{printable(folder)}: {cost(files)}", soft_wrap=True)
    console.print(f"next: {printable(next_command(files, folder, again))}", soft_wrap=True)


def print_run(console: Console, run: RunFiles) -> None:
    """pass@k and verdicts of a finished run, benchmark by benchmark, and how fast it was sampled."""
    from rlvr.evaluation import counts
    from rlvr.evaluation.sampling import sampled_tokens, verdict_shares

    if not (evaluation := run.summary.get("evaluation", {})):
        return
    columns = (
        Column(Text(f"{printable(name)}\n{result['problems']} problems"))
        for name, result in evaluation.items()
    )
    table = Table("k", *columns, title="pass@k, and how the samples were judged, %")
    files = [run.directory / "evaluation" / f"{name}.parquet" for name in evaluation]
    if lost := next((file for file in files if not file.exists()), None):
        raise UserError(f"{lost} is missing, whose results summary.json has: restore it from a copy")
    tallies = [counts(file) for file in files]
    first = next(iter(evaluation.values()))
    for k in sorted(map(int, first["pass@k"])):
        table.add_row(str(k), *(percent_with_interval(tally, k) for tally in tallies))
    table.add_section()
    verdicts = [verdict_shares(file) for file in files]
    for verdict in dict.fromkeys(verdict for shares in verdicts for verdict in shares):
        shown = (f"{100 * shares.get(verdict, 0):.1f}" for shares in verdicts)
        table.add_row(Text(printable(verdict)), *shown)
    if any("reward" in result for result in evaluation.values()):
        rewards = (result.get("reward") for result in evaluation.values())
        table.add_section()
        table.add_row("mean reward", *("–" if value is None else f"{value:.3f}" for value in rewards))
    console.print(table)
    tokens, seconds = sum(map(sampled_tokens, files)), run.entry("seconds", "evaluation")
    console.print(
        f"± is half of a 95 % interval over problems. {first['samples']} samples a problem, {tokens:,} "
        f"tokens sampled and judged in {seconds:,.0f} s, {tokens / seconds:,.0f} a second."
    )


def arms_table(runs: Sequence[RunFiles]) -> Table:
    """A line an arm: the averages of each group of benchmarks, over seeds and problems."""
    spec = table_of_runs(runs)
    frame = tidy(spec, measure(spec, runs, iterations=1))  # no test is printed
    frame = frame[(frame["benchmark"] == AVERAGE) & frame["metric"].isin(spec.metrics)]
    cells = frame.set_index(["arm", "group", "metric"])
    places = [(group, metric) for group in spec.columns for metric in spec.metrics]
    narrow = {"out_of_domain": "Out of\ndomain"}  # four columns and the arms on 80 characters
    heads = (Column(f"{narrow.get(group, spec.label(group))}\n{metric} %") for group, metric in places)
    table = Table(Column("", no_wrap=True), "seeds", *heads, box=None, pad_edge=False)
    for arm in spec.arms:
        row = [cells.loc[(arm.name, *place)] for place in places]
        texts = (f"{100 * c.value:.1f}±{50 * (c.high - c.low):.1f}" if c.seeds else "–" for c in row)
        label = ",\n".join(map(printable, arm.label.split(", ")))
        table.add_row(Text(label), str(max(cell.seeds for cell in row)), *texts)
    return table


def validation_table(runs: Sequence[RunFiles]) -> Table:
    """A line a run: in-domain pass@1 before training, at its best checkpoint and at the last."""
    spec = table_of_runs(runs)
    table = Table("", "before, %", "best, %", "at step", "last, %", title="in-domain pass@1 by validation")
    for run in runs:
        known = [line for line in run.validation if "in_domain/pass@1" in line]
        scores = {line["step"]: 100 * line["in_domain/pass@1"] for line in known}
        if scores:
            best = max(scores, key=lambda step: (scores[step], -step))
            shown = [scores.get(0), scores[best], best, scores[max(scores)]]
            texts = ["–" if x is None else f"{x:.1f}" if isinstance(x, float) else str(x) for x in shown]
            name = f"{spec.arm_labels[run.arm]}, seed {run.config.seed}"
            table.add_row(Text(printable(name)), *texts)
    return table


def is_trained(run: RunFiles) -> bool:
    return run.summary.get("trained_steps") == run.config.training.steps


def cost(runs: Sequence[RunFiles]) -> str:
    """Time, tokens and FLOPs of some runs together, as far as their summaries know them."""
    seconds: dict[str, float] = {}
    for run in runs:
        for stage, taken in run.summary.get("seconds", {}).items():
            seconds[stage] = seconds.get(stage, 0) + taken
    parts = [f"{stage} {duration(taken)}" for stage, taken in seconds.items()]
    if tokens := sum(run.summary.get("tokens", {}).get("sampled", 0) for run in runs):
        parts.append(f"{tokens:,.0f} tokens sampled in training")
    if spent := sum(sum(run.summary.get("flops", {}).values()) for run in runs):
        parts.append(flops(spent))
    return f"{', '.join(parts) or 'nothing done yet'}{f', {len(runs)} runs together' * (len(runs) > 1)}"


def experiment_folder(runs: Sequence[RunFiles]) -> Path:
    """The folder of the arms of some runs."""
    return runs[0].directory.parent.parent


def next_command(runs: Sequence[RunFiles], folder: Path, again: str) -> str:
    """What to type now, as it can be copied."""
    if unfinished := [run for run in runs if not is_trained(run)]:
        return f"{again or 'the same command'} (goes on with {len(unfinished)} of {len(runs)})"
    for run in runs:
        if not run.finished:
            return f"rlvr evaluate run={shlex.quote(str(run.directory))}"
    if len(runs) == 1:
        return f"rlvr report {shlex.quote(str(folder))}"
    return " ".join(["rlvr table", shlex.quote(str(folder)), *selecting(runs, folder)])


def selecting(runs: Sequence[RunFiles], folder: Path) -> list[str]:
    """The keys that tell some runs from the others in a folder, as `rlvr table` takes them; [] where all are
    meant. Where no keys do, some of the others are in the table too."""
    try:
        everything = find_runs(folder)
    except UserError:  # several experiments: `rlvr table` says so itself
        return []
    ours = {run.directory for run in runs}
    settings = [settings_of(run.config) for run in everything]
    names = [key for key in differing(settings) if not key.startswith(UNSAID)]
    names = sorted(names, key=lambda key: not key.endswith(".name"))
    wanted: dict[str, list] = {}
    left = everything
    for key in names:
        found = [value_of(settings_of(run.config), key) for run in runs]
        values = {said(value): value for value in found}
        fewer = chosen(left, {key: list(values.values())})
        if len(fewer) < len(left) and all(is_word(value) for value in values.values()):
            wanted[key.removesuffix(".name")], left = list(values.values()), fewer
        if {run.directory for run in left} == ours:
            break
    return [f"{key}={','.join(map(said, values))}" for key, values in wanted.items()]


def is_word(value: object) -> bool:
    """Whether a value can stand on a command line as it is."""
    return value is not None and re.fullmatch(r"[\w.@-]+", said(value)) is not None
