"""What a person sees while runs work: a bar a run, the time that is left, and nothing that is not known."""

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from rlvr.config import Config, arm_name
from rlvr.errors import UserError, printable
from rlvr.files.run_directory import read_summary
from rlvr.files.run_files import read_progress

if TYPE_CHECKING:
    import pandas as pd

TRAINING_SHARE = 0.8  # of a run's time, until both stages have been seen; the rest is evaluation
INTERVAL = 1.0  # seconds between looks at the run directories


class Display:
    """Shows the progress of runs from their directories, so it does not matter which process runs them."""

    def __init__(self, runs: list[tuple[Config, Path]], *, evaluate: bool = False):
        self.runs = runs
        self.evaluate = evaluate  # they were started for their evaluation
        self.console = Console(stderr=True, markup=False, highlight=False)  # arms may hold [brackets]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._started = time.monotonic()
        self._before = {path: read_progress(path) for _, path in runs}
        self._said: dict[Path, str] = {}

    def __enter__(self) -> "Display":
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[stage]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[Path, TaskID] = {
            path: self._progress.add_task(title_of(config), total=1.0, stage="waiting", start=False)
            for config, path in self.runs
        }
        self._all = self._progress.add_task("all", total=1.0, stage="") if len(self.runs) > 1 else None
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._progress.stop()

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._look()

    def _look(self) -> None:
        shares = []
        for config, path in self.runs:
            try:
                stage, share = fraction_done(config, path, self._before[path], evaluate=self.evaluate)
            except UserError:  # a damaged file, and the run itself says so
                stage, share = "waiting", 0.0
            task = self._tasks[path]
            if share > 0 and not self._progress.tasks[task].started:
                self._progress.start_task(task)
            self._progress.update(task, completed=share, stage=stage)
            word = stage.split()[0]
            if not self.console.is_terminal and word not in ("waiting", self._said.get(path)):
                self._said[path] = word
                self.console.print(f"{title_of(config)}: {stage}")
            shares.append(share)
        if self._all is not None:
            done = sum(shares) / len(shares)
            elapsed = time.monotonic() - self._started
            left = f"{elapsed * (1 - done) / done / 60:.0f} min left" if 0.02 < done < 1 else ""
            self._progress.update(self._all, completed=done, stage=left)

    def print_results(self, path: Path) -> None:
        """pass@k and verdicts of a finished run, benchmark by benchmark, and how fast it was sampled."""
        from rlvr.evaluation import counts
        from rlvr.evaluation.sampling import sampled_tokens, verdict_shares

        summary = read_summary(path)
        if not (evaluation := summary.get("evaluation")):
            return
        table = Table(
            "k",
            *(
                Column(Text(f"{printable(name)}\n{result['problems']} problems"))
                for name, result in evaluation.items()
            ),
            title="pass@k, and how the samples were judged, %",
        )
        files = [path / "evaluation" / f"{name}.parquet" for name in evaluation]
        tallies = [counts(file) for file in files]
        first = next(iter(evaluation.values()))
        for k in sorted(map(int, first["pass@k"])):
            table.add_row(str(k), *(percent_with_interval(tally, k) for tally in tallies))
        table.add_section()
        verdicts = [verdict_shares(file) for file in files]
        for verdict in dict.fromkeys(verdict for shares in verdicts for verdict in shares):
            table.add_row(
                Text(printable(verdict)), *(f"{100 * shares.get(verdict, 0):.1f}" for shares in verdicts)
            )
        if any("reward" in result for result in evaluation.values()):
            rewards = (result.get("reward") for result in evaluation.values())
            table.add_section()
            table.add_row("mean reward", *("–" if value is None else f"{value:.3f}" for value in rewards))
        console = Console(markup=False, highlight=False)
        console.print(table)
        tokens, seconds = sum(map(sampled_tokens, files)), summary["seconds"]["evaluation"]
        console.print(
            f"± is half of a 95 % interval over problems. {first['samples']} samples a problem, {tokens:,} "
            f"tokens sampled and judged in {seconds:,.0f} s, {tokens / seconds:,.0f} a second: "
            f"{printable(path)}"
        )


def title_of(config: Config) -> str:
    """A run as its bar and its lines name it."""
    return printable(f"{arm_name(config)} seed {config.seed}")


def percent_with_interval(tally: "pd.DataFrame", k: int) -> str:
    """Mean pass@k over the problems with k scorable samples, such as "12.5 ± 3.1"."""
    from rlvr.evaluation import pass_at_k_of, share_interval

    values = pass_at_k_of(tally, k)
    if not len(values):
        return "–"
    mean, low, high = (100 * value for value in share_interval(values))
    return f"{mean:.1f} ± {(high - low) / 2:.1f}"


def fraction_done(
    config: Config, path: Path, before: dict[str, Any], *, evaluate: bool = False
) -> tuple[str, float]:
    """What a run is doing, in words, and how much of it is done, from its files.

    Args:
        before: its progress.json when it was started; times are not compared, since clocks are set.
        evaluate: it was started for its evaluation.
    """
    summary = read_summary(path)
    training_share = TRAINING_SHARE if config.training.steps else 0.0
    if not evaluate and not config.evaluation.after_training:
        training_share = 1.0
    elif evaluate and summary.get("trained_steps") == config.training.steps:
        training_share = 0.0
    progress = read_progress(path)
    if progress in ({}, before):
        finished = summary.get("status") == "finished" and config.evaluation.after_training
        trained = summary.get("trained_steps") == config.training.steps and not evaluate
        done = finished or (trained and not config.evaluation.after_training)
        return ("done before", 1.0) if done else ("waiting", 0.0)
    share = progress["done"] / max(progress["total"], 1)
    if progress["stage"] == "training":
        return f"training {progress['done']}/{progress['total']}", training_share * share
    if summary.get("status") == "finished" and share == 1:
        return "done", 1.0
    return f"evaluation {progress['done']}/{progress['total']}", training_share + (1 - training_share) * share
