"""What a person sees while runs work: a bar a run, the time that is left, and nothing that is not known."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from rlvr.config import Config, arm_name
from rlvr.errors import UserError, printable
from rlvr.files.run_directory import read_summary
from rlvr.files.run_files import RunFiles

TRAINING_SHARE = 0.8  # of a run's time, until both stages have been seen; the rest is evaluation
INTERVAL = 1.0  # seconds between looks at the run directories
MINUTE = 60.0  # seconds between two lines on how far everything is, where there is no terminal


class Display:
    """Shows the progress of runs from their directories, so it does not matter which process runs them.

    Without a terminal it says a line where a stage begins, and one every `pause` seconds.
    """

    def __init__(self, runs: list[tuple[Config, Path]], *, evaluate: bool = False, pause: float = MINUTE):
        self.runs, self.pause = runs, pause
        self.evaluate = evaluate  # they were started for their evaluation
        self.console = Console(stderr=True, markup=False, highlight=False)  # arms may hold [brackets]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._started = time.monotonic()
        self._before = {path: RunFiles(path).progress for _, path in runs}
        self._said: dict[Path, str] = {}
        self._spoke = self._started
        self._found: dict[Path, float] = {}  # what was done of each run when it went on, as a share

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
        shares, stages = [], []
        for config, path in self.runs:
            try:
                stage, share = fraction_done(config, path, self._before[path], evaluate=self.evaluate)
            except UserError:  # a damaged file, and the run itself says so
                stage, share = "waiting", 0.0
            task = self._tasks[path]
            if share > 0:
                there = bool(self._before[path]) or stage == "done before"
                self._found.setdefault(path, share if there else 0.0)
                if not self._progress.tasks[task].started:
                    self._progress.start_task(task)
            self._progress.update(task, completed=share, stage=stage)
            word = stage.split()[0]
            if not self.console.is_terminal and word not in ("waiting", self._said.get(path)):
                self._said[path] = word
                self.console.print(f"{title_of(config)}: {stage}")
            shares.append(share)
            stages.append(stage)
        if not shares:
            return
        now, done = time.monotonic(), sum(shares) / len(shares)
        found = sum(self._found.values()) / len(shares)
        left = time_left(done, found, now - self._started)
        if self._all is not None:
            self._progress.update(self._all, completed=done, stage=left)
        elif left:
            self._progress.update(self._tasks[self.runs[0][1]], stage=f"{stages[0]}, {left}")
        if not self.console.is_terminal and now - self._spoke >= self.pause and 0 < done < 1:
            self._spoke = now
            finished = sum(share == 1 for share in shares)
            what = stages[0] if len(shares) == 1 else f"{finished} of {len(shares)} runs done"
            self.console.print(", ".join(text for text in (f"{100 * done:.0f} %", left, what) if text))


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something is being done, and for how long by now, until it is."""
    console = Console(stderr=True, markup=False, highlight=False)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(printable(what), total=None)
        yield


def time_left(done: float, found: float, seconds: float) -> str:
    """What is left of runs at the pace that they have had, in words; nothing where that says little.

    Args:
        done: the share that is done.
        found: the share that was done before the clock started.
        seconds: since then.
    """
    if done >= 1 or done - found < 0.02:
        return ""
    left = seconds * (1 - done) / (done - found)
    return f"{left:.0f} s left" if left < 100 else f"{left / 60:.0f} min left"


def title_of(config: Config) -> str:
    """A run as its bar and its lines name it."""
    return printable(f"{arm_name(config)} seed {config.seed}")


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
    progress = RunFiles(path).progress
    if progress in ({}, before):
        trained = summary.get("trained_steps") == config.training.steps
        finished = summary.get("status") == "finished" and config.evaluation.after_training
        done = trained and (finished or not (evaluate or config.evaluation.after_training))
        return ("done before", 1.0) if done else ("waiting", 0.0)
    share = progress["done"] / max(progress["total"], 1)
    if progress["stage"] == "training":
        return f"training {progress['done']}/{progress['total']}", training_share * share
    if summary.get("status") == "finished" and share == 1:
        return "done", 1.0
    return f"evaluation {progress['done']}/{progress['total']}", training_share + (1 - training_share) * share
