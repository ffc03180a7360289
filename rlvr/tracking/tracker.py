"""Where metrics go: files of the run, always, and W&B if it is wanted.

`metrics.jsonl` holds what the same seed on the same machine repeats bit for bit; `timing.jsonl` holds
seconds and throughput, which nothing repeats. Both have one line a step.
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from rlvr.config import Config, arm_name, to_yaml
from rlvr.files import step_lines
from rlvr.files.atomic import write_whole


class Tracker:
    """Writes one run's metrics. W&B failing never ends a run: it is said once, and the files go on."""

    def __init__(self, config: Config, path: Path):
        self.path = path
        self.metrics = path / "metrics.jsonl"
        self.timing = path / "timing.jsonl"
        self._wandb = None
        self._sent = -1  # the last step that W&B was sent
        self._unfinished = path / "wandb_unfinished"  # W&B's folder while it writes there, and `_sent` before
        if config.tracking.name == "wandb":
            self._survive(self._start_wandb, config)

    def rewind(self, step: int) -> None:
        """Forget what was logged after `step`: it is about to be done again."""
        for file in (self.metrics, self.timing):
            step_lines.rewind(file, step)
        self.catch_up()

    def catch_up(self) -> None:
        """Send W&B the steps that the files have and it lacks."""
        if self._wandb is None:
            return
        timing = {line["step"]: line for line in step_lines.read(self.timing)}
        for line in step_lines.read(self.metrics):
            self._send(line["step"], line | timing.get(line["step"], {}))

    def log(self, step: int, metrics: dict[str, float], timing: dict[str, float] | None = None) -> None:
        """One step's numbers, to the files and to W&B."""
        for file, values in ((self.metrics, metrics), (self.timing, timing)):
            if values:
                step_lines.append(file, step, values)
        self._send(step, {"step": step, **metrics, **(timing or {})})

    def log_evaluation(self, rows: list[dict[str, Any]]) -> None:
        """pass@k over k, a curve for each benchmark; `rows` have benchmark, k and value.

        W&B gets it as a table, as the run's summary, and as a history of its own with k in the place of the
        step, so that curves of many runs can be grouped and averaged like any other.
        """
        if self._wandb is None:
            return

        def send() -> None:
            import wandb

            self._wandb.define_metric("k", hidden=True, summary="none")
            by_k: dict[int, dict[str, float]] = {}
            for row in rows:
                by_k.setdefault(row["k"], {})[f"pass@k/{row['benchmark']}"] = row["value"]
            for name in dict.fromkeys(name for values in by_k.values() for name in values):
                self._wandb.define_metric(name, step_metric="k", summary="none")
            for k, values in sorted(by_k.items()):
                self._wandb.log({"k": k, **values})
            table = wandb.Table(
                columns=["benchmark", "k", "pass@k"],
                data=[[r["benchmark"], r["k"], r["value"]] for r in rows],
            )
            self._wandb.log({"evaluation/pass@k": table})
            self._wandb.summary.update(
                {f"evaluation/{r['benchmark']}/pass@{r['k']}": r["value"] for r in rows}
            )

        self._survive(send)

    def log_table(self, files: list[Path]) -> None:
        """A rendered table's numbers (its first CSV file) and figures (its PNG files) as W&B objects."""
        if self._wandb is None:
            return

        def send() -> None:
            import pandas as pd
            import wandb

            numbers = next(pd.read_csv(file) for file in files if file.suffix == ".csv")
            rows = numbers.astype(object).where(numbers.notna(), None)
            figures = {
                f"figure/{file.stem}": wandb.Image(str(file)) for file in files if file.suffix == ".png"
            }
            self._wandb.log(
                {"table": wandb.Table(columns=list(rows.columns), data=rows.values.tolist()), **figures}
            )

        self._survive(send)

    def close(self) -> None:
        if self._wandb:
            self._survive(self._finish)

    def _finish(self) -> None:
        self._wandb.finish()
        self._unfinished.unlink(missing_ok=True)

    def _send(self, step: int, values: dict[str, Any]) -> None:
        """One step's numbers to W&B, once, however often the run is started."""
        if self._wandb and step > self._sent:
            self._sent = step
            write_whole(self.path / "wandb_step", str(step))  # first, so that W&B has no step twice
            self._survive(self._wandb.log, values)

    def _drop_unfinished(self) -> None:
        """Offline, W&B holds back what it was sent until it has 32 KB, and a kill takes that with it. A file
        that it had not finished is dropped, therefore: all it was sent is in `metrics.jsonl`, and sent again.
        """
        if not self._unfinished.exists():
            return
        name, step_before = self._unfinished.read_text().split()
        folder = self.path / "wandb" / name
        if not any(folder.glob("*.synced")):  # else the server has it
            write_whole(self.path / "wandb_step", step_before)
            shutil.rmtree(folder, ignore_errors=True)
        self._unfinished.unlink()

    def _start_wandb(self, config: Config) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb
        import yaml

        self._drop_unfinished()
        sent = self.path / "wandb_step"
        self._sent = int(sent.read_text()) if sent.exists() else -1
        self._wandb = wandb.init(
            project=config.tracking.project,
            entity=config.tracking.entity,
            group=config.tracking.group or config.experiment,
            job_type=arm_name(config),
            name=f"{arm_name(config)}/seed-{config.seed}",
            id=wandb_run_id(self.path),
            resume="allow",
            dir=self.path,
            mode=wandb_mode(config.tracking.mode),
            config=yaml.safe_load(to_yaml(config)),
            settings=wandb.Settings(console="off", x_disable_stats=True, disable_git=True, disable_code=True),
        )
        if self._wandb.offline:
            write_whole(self._unfinished, f"{Path(self._wandb.dir).parent.name} {self._sent}")
        self._wandb.define_metric("step", hidden=True)
        self._wandb.define_metric("*", step_metric="step")

    def _survive(self, send, *arguments) -> None:
        """The one place where any failure is let go: a dashboard must not cost a run."""
        try:
            send(*arguments)
        except Exception as error:
            self._wandb = None
            print(f"W&B is off for this run ({error}); metrics go on to {self.metrics}")


def wandb_run_id(path: Path) -> str:
    """The W&B id of a run directory, the same whenever it is gone on with."""
    file = path / "wandb_id"
    if not file.exists():
        write_whole(file, secrets.token_hex(4))
    return file.read_text()


def wandb_mode(mode: str) -> str:
    """`auto` is online where there are credentials, offline where there are none."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    netrc = Path(os.environ.get("NETRC", Path.home() / ".netrc"))
    known = bool(os.environ.get("WANDB_API_KEY")) or (netrc.exists() and "wandb" in netrc.read_text())
    return "online" if known else "offline"
