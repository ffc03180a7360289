"""All that a run writes a line a step of, and the trackers."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr.config import Config
from rlvr.data import Group
from rlvr.files import step_lines
from rlvr.tracking.tracker import Tracker
from rlvr.training.accuracy_log import accuracy_of
from rlvr.training.batch import Batch
from rlvr.training.rollout_log import describe_groups


class RunLogs:
    """The JSON-lines files of a run, which a resumed run takes back together to the step it goes on from.

    `metrics` and `timing` have a line a step, `validation` one at every checkpoint, and all three go to the
    trackers too; `accuracy` has one a step; `rollouts` one at step 1 and at every checkpoint.
    """

    FILES = ("metrics", "timing", "accuracy", "rollouts", "validation")

    def __init__(self, config: Config, path: Path, tokenizer: PreTrainedTokenizerBase):
        self.path = path
        self.tracker = Tracker(config, path)
        self._tokenizer, self._credit = tokenizer, config.credit

    def file(self, name: str) -> Path:
        return self.path / f"{name}.jsonl"

    def rewind(self, step: int, lines: Mapping[str, int] | None = None) -> None:
        """Forget what was written after `step`: it is about to be done again.

        Args:
            lines: that each file had when the checkpoint of the step was written, where it says so.
        """
        for name in self.FILES:
            step_lines.rewind(self.file(name), step, None if lines is None else lines.get(name, 0))
        self.tracker.catch_up()

    def forget_rollouts(self, steps: Collection[int]) -> None:
        """Drop the groups of steps that were a run's last before it was given more."""
        step_lines.drop(self.file("rollouts"), steps)

    def log(
        self,
        step: int,
        *,
        metrics: dict[str, float],
        timing: dict[str, float],
        epoch: float,
        sampled: Sequence[Group],
    ) -> None:
        """One step's numbers; `sampled` are all its groups, `epoch` the share of epochs drawn after it."""
        self._append("accuracy", step, epoch=epoch, accuracy=accuracy_of(sampled))
        self.tracker.log(step, metrics, timing)

    def log_rollouts(self, step: int, batch: Batch) -> None:
        """A few groups of a step, token by token."""
        self._append("rollouts", step, groups=describe_groups(batch, self._tokenizer, self._credit))

    def log_validation(self, step: int, scores: dict[str, float]) -> None:
        self.tracker.log_validation(step, scores)

    def close(self) -> None:
        self.tracker.close()

    def _append(self, name: str, step: int, **values: Any) -> None:
        step_lines.append(self.file(name), step, values)
