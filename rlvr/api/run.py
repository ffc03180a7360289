"""A run as data frames and plots."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rlvr.config import Config
from rlvr.errors import unknown
from rlvr.files.run_files import Line, RunFiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PASS_AT_K = "pass@k"


class Run:
    """What one run left in its folder. Every table is read once, when it is first asked for.

    Attributes:
        path: its folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._files = RunFiles(self.path.absolute())  # read when asked for, wherever the process is by then

    def __repr__(self) -> str:
        stage = "finished" if self.finished else f"{len(self.metrics)} of {self.config.training.steps} steps"
        return f"<rlvr run {self.name}, {stage}: {self.path}>"

    @property
    def name(self) -> str:
        """Its arm and seed."""
        return f"{self._files.arm} seed {self._files.seed}"

    @property
    def config(self) -> Config:
        """The config it was run with, every key of it."""
        return self._files.config

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`: status, checkpoint, tokens, FLOPs, seconds, results."""
        return self._files.summary

    @property
    def finished(self) -> bool:
        """Whether it is trained and evaluated."""
        return self._files.finished

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """What training measured, by step; with seconds and throughput. `docs/reference/metrics.md` has the
        meaning of each column."""
        return _by_step(self._files.metrics).join(_by_step(self._files.timing))

    @cached_property
    def validation(self) -> pd.DataFrame:
        """pass@k on the in-domain benchmarks, by step, at every checkpoint."""
        return _by_step(self._files.validation)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The evaluation's samples, one a row: benchmark, problem_id, sample, verdict, text, num_tokens,
        finish_reason, and `reward` where one is graded."""
        frames = [
            pd.read_parquet(file).assign(benchmark=name)
            for name in self.summary.get("evaluation", {})
            if (file := self._files.samples(name))
        ]
        if not frames:
            return pd.DataFrame(columns=["benchmark", "problem_id", "sample", "verdict", "text"])
        frame = pd.concat(frames, ignore_index=True)
        return frame[["benchmark", *frame.columns.drop("benchmark")]]

    @cached_property
    def rollouts(self) -> pd.DataFrame:
        """Completions that were trained on, a few groups of some steps: step, problem, prompt,
        focal_weight, text, verdict, reward, advantage."""
        rows = [
            {
                "step": line["step"],
                **{key: group[key] for key in ("problem", "prompt", "focal_weight")},
                "text": "".join(completion["tokens"]),
                **{key: completion[key] for key in ("verdict", "reward", "advantage")},
            }
            for line in self._files.rollouts()
            for group in line["groups"]
            for completion in group["completions"]
        ]
        return pd.DataFrame(rows)

    @cached_property
    def pass_at_k(self) -> pd.DataFrame:
        """pass@k of the evaluation: benchmark, domain, problems, k, value, and low and high, the 95 %
        interval over problems."""
        from rlvr.evaluation.results import pass_at_k_of_run

        return pass_at_k_of_run(self._files)

    def plot(self, *what: str, ax: "Axes | None" = None, smoothing: int = 1) -> "Axes":
        """Draw curves, and return matplotlib's axes, on which another run can be drawn: `other.plot(ax=ax)`.

        Args:
            what: "pass@k" (as it is without any), or names of columns of `metrics` or `validation`.
            ax: axes to draw on; new ones if None.
            smoothing: steps that a metric's moving mean is over.

        Raises:
            UserError: for a name that is no column.
        """
        import matplotlib.pyplot as plt

        axes = ax if ax is not None else plt.subplots(figsize=(5.5, 3.4), layout="constrained")[1]
        if what in ((), (PASS_AT_K,)):
            self._draw_pass_at_k(axes)
        else:
            for name in what:
                curve = self._curve(name).rolling(smoothing, min_periods=1).mean()
                axes.plot(curve.index, curve, marker="." if len(curve) < 20 else "", label=self._label(name))
            axes.set_xlabel("step")
            axes.set_ylabel(what[0] if len(what) == 1 else "")
        axes.legend(frameon=False, fontsize="small")
        return axes

    def _draw_pass_at_k(self, axes: "Axes") -> None:
        for benchmark, curve in self.pass_at_k.dropna(subset="value").groupby("benchmark", sort=False):
            (line,) = axes.plot(
                curve["k"], 100 * curve["value"], marker=".", label=self._label(str(benchmark))
            )
            axes.fill_between(
                curve["k"], 100 * curve["low"], 100 * curve["high"], alpha=0.15, color=line.get_color()
            )
        axes.set_xscale("log", base=2)
        axes.set_xlabel("k")
        axes.set_ylabel("pass@k, %")

    def _label(self, name: str) -> str:
        return f"{name}, {self.name}"

    def _curve(self, name: str) -> pd.Series:
        for frame in (self.metrics, self.validation):
            if name in frame:
                return frame[name].dropna()
        raise unknown("curve", name, [PASS_AT_K, *self.metrics, *self.validation])


def _by_step(lines: list[Line]) -> pd.DataFrame:
    frame = pd.DataFrame(lines)
    return frame.set_index("step") if len(frame) else pd.DataFrame(index=pd.Index([], name="step"))
