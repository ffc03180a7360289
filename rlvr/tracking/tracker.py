"""Where metrics go: files of the run, always, and the trackers that `tracking` chooses.

`metrics.jsonl` holds what the same seed on the same machine repeats bit for bit; `timing.jsonl` holds
seconds and throughput, which nothing repeats. Both have one line a step, `validation.jsonl` one a checkpoint.
Trackers are sent what the files have, so one that is chosen later, or failed before, gets it all.
"""

import importlib
import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from rlvr.config import Config
from rlvr.errors import printable
from rlvr.files import step_lines
from rlvr.files.shapes import NUMBERS
from rlvr.tracking.sent import Sent

_PASSWORD = re.compile(r"(?<=:)//[^/@\s]*@")  # with the name before it, in an address

# name -> what people call it, and its class; modules are imported when they are chosen
TRACKERS = {
    "wandb": ("W&B", "rlvr.tracking.weights_and_biases:WeightsAndBiases"),
    "tensorboard": ("TensorBoard", "rlvr.tracking.tensorboard:TensorBoard"),
    "mlflow": ("MLflow", "rlvr.tracking.mlflow_runs:MLflow"),
}


class Sink(Protocol):
    """One tracker of one run. Whatever it raises ends it, and never the run.

    Attributes:
        sent: the last that it has.
    """

    sent: Sent

    def __init__(self, config: Config, path: Path): ...

    def log(self, sent: Sent, values: dict[str, float]) -> None:
        """The numbers of a step or of its validation, and `step`; they come in order, each once."""
        ...

    def log_evaluation(self, rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> None:
        """pass@k over k, a curve for each benchmark, in the place of the `earlier` ones; rows have benchmark,
        k and value."""
        ...

    def log_table(self, files: list[Path]) -> None:
        """A rendered table's numbers (its first CSV file) and figures (its PNG files)."""
        ...

    def close(self) -> None: ...


class Tracker:
    """Writes one run's metrics. A tracker that fails is said once, and the files go on."""

    def __init__(self, config: Config, path: Path):
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.timing = path / "timing.jsonl"
        self.validation = path / "validation.jsonl"
        self._sinks: dict[str, Sink] = {}
        for name in chosen(config):
            self._survive(name, lambda name=name: self._start(name, config))

    def catch_up(self) -> None:
        """Send the trackers the steps and validations that the files have and they lack, in order."""
        if not self._sinks:
            return
        timing = {line["step"]: line for line in step_lines.read(self.timing)}
        lines = [
            (Sent(line["step"]), line | timing.get(line["step"], {}))
            for line in step_lines.read(self.metrics)
        ]
        for line in step_lines.read(self.validation, shape=NUMBERS):
            step = line.pop("step")
            lines.append((Sent(step, validated=True), as_validation(step, line)))
        for sent, values in sorted(lines, key=itemgetter(0)):
            self._send(sent, values)

    def log(self, step: int, metrics: dict[str, float], timing: dict[str, float] | None = None) -> None:
        """One step's numbers, to the files and to the trackers."""
        for file, values in ((self.metrics, metrics), (self.timing, timing)):
            if values:
                step_lines.append(file, step, values)
        self._send(Sent(step), {"step": step, **metrics, **(timing or {})})

    def log_validation(self, step: int, scores: dict[str, float]) -> None:
        """The scores of a checkpoint, to the file, and to the trackers as `validation/<name>`."""
        step_lines.append(self.validation, step, scores)
        self._send(Sent(step, validated=True), as_validation(step, scores))

    def log_evaluation(self, rows: list[dict[str, Any]], earlier: Sequence[dict[str, Any]] = ()) -> None:
        """pass@k over k, a curve for each benchmark, in the place of the `earlier` ones; rows have benchmark,
        k and value."""
        self._everywhere(lambda sink: sink.log_evaluation(rows, list(earlier)))

    def log_table(self, files: list[Path]) -> None:
        """A rendered table's numbers and figures."""
        self._everywhere(lambda sink: sink.log_table(files))

    def close(self) -> None:
        self._everywhere(lambda sink: sink.close())

    def _start(self, name: str, config: Config) -> None:
        module, kind = TRACKERS[name][1].split(":")
        self._sinks[name] = getattr(importlib.import_module(module), kind)(config, self.path)

    def _send(self, sent: Sent, values: dict[str, Any]) -> None:
        """Some numbers to every tracker, once, however often the run is started, and never a step after a
        later one."""
        self._everywhere(lambda sink: sink.log(sent, values) if sent > sink.sent else None)

    def _everywhere(self, call: Callable[[Sink], None]) -> None:
        for name, sink in list(self._sinks.items()):
            self._survive(name, lambda sink=sink: call(sink))

    def _survive(self, name: str, call: Callable[[], None]) -> None:
        """The one place where any failure is let go: a dashboard must not cost a run."""
        try:
            call()
        except Exception as error:
            self._sinks.pop(name, None)
            advice = f": `pip install 'rlvr[{name}]'`" if isinstance(error, ImportError) else ""
            title, reason = TRACKERS[name][0], _PASSWORD.sub("//", printable(error))
            print(f"{title} is off for this run ({reason}{advice}); metrics go on to {self.metrics}")


def as_validation(step: int, scores: dict[str, float | None]) -> dict[str, float]:
    """Scores by the names that trackers have them under."""
    known = {f"validation/{name}": score for name, score in scores.items() if score is not None}
    return {"step": step, **known}


def chosen(config: Config) -> list[str]:
    """The trackers of a run: `tracking=wandb`, or several with `tracking=[wandb,tensorboard]`."""
    switched_on = {name for name in TRACKERS if getattr(config.tracking, name)}
    return [name for name in TRACKERS if name in switched_on | {config.tracking.name}]
