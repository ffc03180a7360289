"""A run in TensorBoard: event files in `<run>/tensorboard`."""

import math
import shutil
from pathlib import Path
from typing import Any

from rlvr.config import Config
from rlvr.tracking.sent import Sent


class TensorBoard:
    """See `rlvr.tracking.tracker.Sink`.

    Whenever a run is started its event files are written anew from its own files, since an event can't be
    taken back: so a step that is done again is there once.
    """

    def __init__(self, config: Config, path: Path):
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(path / "tensorboard", ignore_errors=True)
        self.sent = Sent()
        self._writer = SummaryWriter(str(path / "tensorboard"))

    def log(self, sent: Sent, values: dict[str, float]) -> None:
        """One step's numbers, or those of its validation."""
        self.sent = sent
        for name, value in values.items():
            if name != "step" and math.isfinite(value):
                self._writer.add_scalar(name, value, sent.step)
        self._writer.flush()

    def log_evaluation(self, rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> None:
        """A curve for each benchmark, with k in the place of the step."""
        for row in rows:
            self._writer.add_scalar(f"pass@k/{row['benchmark']}", row["value"], row["k"])

    def log_table(self, files: list[Path]) -> None:
        """Nothing: TensorBoard has no tables, and the figures lie beside them."""

    def close(self) -> None:
        self._writer.close()
