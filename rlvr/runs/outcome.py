"""What a person is told when runs end: their pass@k, where they are, what they cost, and what to do next."""

import re
import shlex
from collections.abc import Sequence
from math import nan
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlvr.config import Config
from rlvr.errors import UserError, printable
from rlvr.evaluation.results import pass_at_k_of_run, percent
from rlvr.evaluation.sampling import sampled_tokens, verdict_shares
from rlvr.files.run_files import RunFiles
from rlvr.report import find_runs
from rlvr.report.provenance import flops
from rlvr.report.training_groups import evenly
from rlvr.tables.adhoc import chosen, plain_baseline, table_of_runs
from rlvr.tables.collect import measure, tidy
from rlvr.tables.panels import duration
from rlvr.tables.settings import differing, said, settings_of, value_of
from rlvr.tables.terminal import CELL, averages_grid, grid_of_numbers
from rlvr.tracking.symptoms import symptoms

UNSAID = ("arm", "experiment", "runs", "folder", "tracking", "hydra", "training.steps")


def print_outcome(runs: Sequence[tuple[Config, Path]], again: str = "") -> None:
    """The end of `rlvr train`, of one run or of a sweep.

    Args:
        again: the command that goes on with runs that are not done.
    """
    console = Console(markup=False, highlight=False, emoji=False)
    files = [RunFiles(path) for _, path in runs]
    done = [run for run in files if run.finished]
    trained = [run for run in files if is_trained(run)]
    if len(files) == 1 and done:
        print_run(console, done[0])
    elif done:
        console.print(arms_table(done, console.width))
        console.print("± is half of a 95 % interval over problems and seeds, averaged over benchmarks.")
    elif trained:
        console.print(validation_table(trained))
    for run in trained:
        for symptom in symptoms(run.metrics):
            name = "" if len(files) == 1 else f"{run.arm}, seed {run.seed}: "
            console.print(f"warning: {printable(name)}{printable(symptom)}")
    folder = files[0].directory if len(files) == 1 else files[0].directory.parent.parent
    console.print(cost(files))
    console.print(f"written: {printable(folder)}", soft_wrap=True)  # a line to copy is one, however long
    console.print(f"next: {printable(next_command(files, folder, again))}", soft_wrap=True)


def print_run(console: Console, run: RunFiles) -> None:
    """pass@k and verdicts of a finished run, benchmark by benchmark, and how fast it was sampled."""
    if (results := pass_at_k_of_run(run)).empty:
        return
    room = console.width - max(map(len, [*results["benchmark"], "out-of-domain average"]))
    console.print(pass_at_k_grid(results, evenly(sorted(results["k"].unique()), max(room // CELL, 2))))
    console.print()
    console.print(verdict_grid(run))
    evaluation = run.summary["evaluation"]
    tokens = sum(sampled_tokens(file) for name in evaluation if (file := run.samples(name)))
    seconds, samples = run.entry("seconds", "evaluation"), next(iter(evaluation.values()))["samples"]
    asked = f"{samples} samples" if samples > 1 else "One sample"
    console.print(
        f"± is half of a 95 % interval over problems. {asked} a problem, {tokens:,} tokens sampled "
        f"and judged in {seconds:,.0f} s, {tokens / seconds:,.0f} a second."
    )


def pass_at_k_grid(results: pd.DataFrame, ks: Sequence[int]) -> Table:
    """A line a benchmark, then one for the plain average of each domain with several."""
    table = grid_of_numbers("pass@k, %", *map(str, ks))
    for name, rows in results.groupby("benchmark", sort=False):
        cells = {row.k: percent(row.value, row.low, row.high, "±") for row in rows.itertuples()}
        table.add_row(Text(printable(str(name))), *(cells.get(k, "–") for k in ks))
    for domain, rows in results.groupby("domain"):
        if rows["benchmark"].nunique() > 1:
            means = rows.pivot(index="k", columns="benchmark", values="value").mean(axis=1, skipna=False)
            label = f"{str(domain).replace('_', '-')} average"
            table.add_row(Text(label, "bold"), *(Text(percent(means.get(k, nan)), "bold") for k in ks))
    return table


def verdict_grid(run: RunFiles) -> Table:
    """A line a benchmark: how many problems, and how the samples were judged, in percent."""
    evaluation = run.summary["evaluation"]
    shares = {name: verdict_shares(file) for name in evaluation if (file := run.samples(name))}
    verdicts = dict.fromkeys(verdict for found in shares.values() for verdict in found)
    rewards = {name: result["reward"] for name, result in evaluation.items() if "reward" in result}
    heads = [verdict.replace("_", "\n") for verdict in verdicts] + ["mean\nreward"] * bool(rewards)
    table = grid_of_numbers("verdicts, %", "problems", *heads)
    for name, result in evaluation.items():
        found = [f"{100 * shares[name].get(v, 0):.1f}" if name in shares else "–" for v in verdicts]
        reward = [f"{rewards[name]:.3f}" if name in rewards else "–"] if rewards else []
        table.add_row(Text(printable(name)), str(result["problems"]), *found, *reward)
    return table


def arms_table(runs: Sequence[RunFiles], width: int) -> Table:
    """A line an arm: the averages of each group of benchmarks, over seeds and problems."""
    spec = table_of_runs(runs)
    return averages_grid(spec, tidy(spec, measure(spec, runs, iterations=1)), width)  # no test is printed


def validation_table(runs: Sequence[RunFiles]) -> Table:
    """A line a run: in-domain pass@k before training, at its best checkpoint and at the last, with the k that
    checkpoints are chosen by."""
    spec = table_of_runs(runs)
    names = {run: f"pass@{run.config.evaluation.select_by}" for run in runs}
    title = f"in-domain {' or '.join(sorted(set(names.values())))} by validation"
    table = Table("", "before, %", "best, %", "at step", "last, %", title=title)
    for run in runs:
        by = f"in_domain/{names[run]}"
        scores = {line["step"]: 100 * line[by] for line in run.validation if by in line}
        if scores:
            best = max(scores, key=lambda step: (scores[step], -step))
            shown = [scores.get(0), scores[best], best, scores[max(scores)]]
            texts = ["–" if x is None else f"{x:.1f}" if isinstance(x, float) else str(x) for x in shown]
            name = f"{spec.arm_labels[run.arm]}, seed {run.config.seed}"
            name += f", {names[run]}" if len(set(names.values())) > 1 else ""
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


def next_command(runs: Sequence[RunFiles], folder: Path, again: str) -> str:
    """What to type now, as it can be copied."""
    if unfinished := [run for run in runs if not is_trained(run)]:
        return f"{again or 'the same command'} (goes on with {len(unfinished)} of {len(runs)})"
    for run in runs:
        if not run.finished:
            return f"rlvr evaluate run={shlex.quote(str(run.directory))}"
    if len(runs) == 1:
        return f"rlvr report {shlex.quote(str(folder))}"
    baseline = [f"baseline={shlex.quote(given)}"] if (given := plain_baseline(runs)) else []
    return " ".join(["rlvr table", shlex.quote(str(folder)), *selecting(runs, folder), *baseline])


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
