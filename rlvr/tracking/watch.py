"""`rlvr watch`: a run in the terminal, from its files alone, whichever process or machine it runs on."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rlvr.errors import printable
from rlvr.files.run_directory import no_run
from rlvr.files.run_files import RunFiles
from rlvr.tracking.symptoms import symptoms

INTERVAL = 2.0  # seconds between looks at the files
SILENCE = 300.0  # seconds without a sign of life that are worth a word
SAMPLES = 6
WIDTH = 32  # of a curve
BLOCKS = "▁▂▃▄▅▆▇█"
CURVES = {
    "in_domain/pass@1": "validation pass@1",
    "reward/success_rate": "success rate",
    "policy/entropy": "entropy, nats a token",
    "groups/mixed": "groups right and wrong",
    "update/effective_sample_size": "sample size in update",
    "mismatch/log_ratio_max": "engine log-ratio, max",
    "completion/length_mean": "length, tokens",
    "throughput/tokens_per_second": "tokens a second",
}
COLOURS = {"correct": "green", "wrong": "red"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run's files say at one moment.

    Attributes:
        done: whether nothing is left to do: it is evaluated, or trained where it is not to be evaluated.
        series: values by metric, a value a step (validation: a value a checkpoint).
        group: the last training group that was recorded, if any.
    """

    run: RunFiles
    done: bool
    series: dict[str, list[float]]
    group: dict[str, Any] | None
    now: float

    @property
    def seconds_left(self) -> float | None:
        """Of training, from the last steps' pace; None where it is not known."""
        paces = self.series.get("seconds/step", [])[-20:]
        progress = self.run.progress
        if progress.get("stage") != "training" or not paces:
            return None
        return sum(paces) / len(paces) * (progress["total"] - progress["done"])


def watch(path: Path, *, once: bool = False) -> None:
    """Show a run until it is finished or the watcher has seen enough (Ctrl-C).

    Raises:
        UserError: where there is no run; it names those below the folder.
    """
    if not (path / "config.yaml").is_file():
        raise no_run(path)
    if once:
        Console().print(view(look(path)))
        return
    try:
        with Live(view(look(path)), auto_refresh=False) as live:
            while not (snapshot := look(path)).done:
                live.update(view(snapshot), refresh=True)
                time.sleep(INTERVAL)
            live.update(view(snapshot), refresh=True)
    except KeyboardInterrupt:
        pass  # the run goes on


def look(path: Path) -> Snapshot:
    """Read a run's files as they are now."""
    run = RunFiles(path)
    series: dict[str, list[float]] = {}
    for line in (*run.validation, *run.metrics, *run.timing):
        for name, value in line.items():
            series.setdefault(name, []).append(value)
    last = next((line for line in reversed(run.rollouts()) if line["groups"]), None)
    group = {"step": last["step"], **last["groups"][0]} if last else None
    trained = run.summary.get("trained_steps") == run.config.training.steps
    done = run.finished or (trained and not run.config.evaluation.after_training)
    return Snapshot(run, done, series, group, time.time())


def view(snapshot: Snapshot) -> RenderableType:
    """The whole picture: what the run is doing, its curves, its last samples, and warnings."""
    title = Text(printable(snapshot.run.directory), style="bold")
    parts: list[RenderableType] = [title, *_progress(snapshot)]
    for warning in warnings(snapshot):
        parts.append(Text.assemble(("⚠ ", "bold yellow"), (printable(warning), "yellow")))
    by = snapshot.run.config.evaluation.select_by
    titles = {f"in_domain/pass@{by}": f"validation pass@{by}"} | CURVES
    if curves := {name: snapshot.series[name] for name in titles if name in snapshot.series}:
        table = Table("", "from", "to", "", box=None, pad_edge=False)
        for name, values in curves.items():
            numbers = (f"{value:.4g}" for value in (values[0], values[-1]))
            table.add_row(titles[name], *numbers, Text(sparkline(values), style="cyan"))
        parts += [Text(), table]
    if snapshot.group:
        parts += [Text(), *_samples(snapshot.group)]
    if results := snapshot.run.summary.get("evaluation"):
        parts += [Text(), _evaluation(results)]
    return Group(*parts)


def warnings(snapshot: Snapshot) -> list[str]:
    """What should be looked at."""
    found = symptoms(snapshot.run.metrics)
    idle = snapshot.now - snapshot.run.progress.get("time", snapshot.now)
    if not snapshot.done and idle > SILENCE + 3 * max(snapshot.series.get("seconds/step", [0.0])):
        found.append(
            f"no sign of life for {duration(idle)}: the same command goes on from the last checkpoint"
        )
    return found


def _progress(snapshot: Snapshot) -> list[RenderableType]:
    run = snapshot.run
    seconds = sum(run.summary.get("seconds", {}).values())
    if run.finished:
        chosen = run.summary.get("checkpoint_step")
        return [Text(f"finished after {duration(seconds)}; the checkpoint of step {chosen} was evaluated")]
    if snapshot.done:
        evaluate = printable(f"rlvr evaluate run={shlex.quote(str(run.directory))}")
        return [Text(f"trained in {duration(seconds)}, and not evaluated: {evaluate}")]
    if not run.progress:
        return [Text("starting")]
    stage, done, total = (run.progress[key] for key in ("stage", "done", "total"))
    left = snapshot.seconds_left
    words = f" {stage} {done}/{total}" + (f", {duration(left)} of training left" if left else "")
    bar = Table.grid()
    bar.add_row(ProgressBar(total=max(total, 1), completed=done, width=40), Text(printable(words)))
    return [bar]


def _samples(group: dict[str, Any]) -> list[RenderableType]:
    table = Table(box=None, show_header=False, pad_edge=False)
    for completion in group["completions"][:SAMPLES]:
        advantage = completion["advantage"]
        table.add_row(
            Text(
                printable(completion["verdict"].replace("_", " ")),
                style=COLOURS.get(completion["verdict"], "yellow"),
            ),
            "not in the loss" if advantage is None else f"{advantage:+.3f}",
            Text(printable("".join(completion["tokens"])), no_wrap=True, overflow="ellipsis"),
        )
    prompt = Text(printable(group["prompt"]), no_wrap=True, overflow="ellipsis", style="bold")
    title = Text(f"samples of step {group['step']}: verdict, advantage, text", style="dim")
    return [title, prompt, table]


def _evaluation(results: dict[str, Any]) -> Table:
    ks = list(next(iter(results.values()))["pass@k"])
    shown = [ks[0], ks[-1]] if len(ks) > 1 else ks
    table = Table("benchmark", *(f"pass@{k}" for k in shown), box=None, pad_edge=False)
    for name, result in results.items():
        values = (result["pass@k"].get(k) for k in shown)
        table.add_row(
            Text(printable(name)), *("–" if value is None else f"{100 * value:.1f}" for value in values)
        )
    return table


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """At most `width` blocks, each the mean of as many values as the others (the last: fewer), from the
    least to the largest; a value that is no number is a gap."""
    size = -(-len(values) // width) or 1
    chunks = [values[start : start + size] for start in range(0, len(values), size)]
    means = [sum(chunk) / len(chunk) for chunk in chunks]
    known = [mean for mean in means if abs(mean) < float("inf")]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((m - low) * scale)] if abs(m) < float("inf") else " " for m in means)


def duration(seconds: float) -> str:
    """ "42 s", "7 min", "3 h 20 min" """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
