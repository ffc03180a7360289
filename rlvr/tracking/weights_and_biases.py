"""A run in Weights & Biases, online or in a folder of its own to be sent later."""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from rlvr.config import Config, arm_name, to_yaml
from rlvr.files.atomic import write_whole
from rlvr.tracking.sent import Sent


class WeightsAndBiases:
    """See `rlvr.tracking.tracker.Sink`."""

    def __init__(self, config: Config, path: Path):
        mode = wandb_mode(config.tracking.mode)
        import wandb
        import yaml

        self.path = path
        self._unfinished = path / "wandb_unfinished"  # W&B's folder while it writes there, and `sent` before
        self._drop_unfinished()
        self.sent = Sent.read(path / "wandb_step")
        self._run: Any = wandb.init(
            project=config.tracking.project,
            entity=config.tracking.entity,
            group=config.tracking.group or config.experiment,
            job_type=arm_name(config),
            name=f"{arm_name(config)}/seed-{config.seed}",
            id=wandb_run_id(path),
            resume="allow",
            dir=path,
            mode=mode,
            config=yaml.safe_load(to_yaml(config)),
            reinit="create_new",  # else a run that this process has not finished is taken for this one
            settings=wandb.Settings(console="off", x_disable_stats=True, disable_git=True, disable_code=True),
        )
        if self._run.offline:
            write_whole(self._unfinished, f"{Path(self._run.dir).parent.name} {self.sent}")
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def log(self, sent: Sent, values: dict[str, float]) -> None:
        """A row for a step, and one for its validation with the same `step`."""
        self.sent = sent
        if not self._run.disabled:  # WANDB_MODE=disabled sends nothing
            note_sent(self.path, sent)  # first, so that W&B has no step twice
        self._run.log(values)

    def log_evaluation(self, rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> None:
        """pass@k as a table, as the run's summary, and as a history of its own with k in the place of the
        step, so that curves of many runs can be grouped and averaged like any other.

        W&B takes no row of a history back; table and summary are those of the last evaluation alone.
        """
        import wandb

        self._run.define_metric("k", hidden=True, summary="none")
        by_k: dict[int, dict[str, float]] = {}
        for row in rows:
            by_k.setdefault(row["k"], {})[f"pass@k/{row['benchmark']}"] = row["value"]
        for name in dict.fromkeys(name for values in by_k.values() for name in values):
            self._run.define_metric(name, step_metric="k", summary="none")
        for k, values in sorted(by_k.items()):
            self._run.log({"k": k, **values})
        table = wandb.Table(
            columns=["benchmark", "k", "pass@k"],
            data=[[r["benchmark"], r["k"], r["value"]] for r in rows],
        )
        self._run.log({"evaluation/pass@k": table})
        no_more: list[dict[str, Any]] = [{**row, "value": None} for row in earlier]
        self._run.summary.update(
            {f"evaluation/{r['benchmark']}/pass@{r['k']}": r["value"] for r in [*no_more, *rows]}
        )

    def log_table(self, files: list[Path]) -> None:
        """A rendered table's numbers and figures as W&B objects."""
        import pandas as pd
        import wandb

        numbers = next(pd.read_csv(file) for file in files if file.suffix == ".csv")
        rows = numbers.astype(object).where(numbers.notna(), None)
        figures = {f"figure/{file.stem}": wandb.Image(str(file)) for file in files if file.suffix == ".png"}
        self._run.log(
            {"table": wandb.Table(columns=list(rows.columns), data=rows.values.tolist()), **figures}
        )

    def close(self) -> None:
        self._run.finish()
        self._unfinished.unlink(missing_ok=True)

    def _drop_unfinished(self) -> None:
        """Offline, W&B holds back what it was sent until it has 32 KB, and a kill takes that with it. A file
        that it had not finished is dropped, therefore: all it was sent is in the run's files, and sent again.
        """
        if not self._unfinished.exists():
            return
        name, sent_before = self._unfinished.read_text().split(" ", 1)
        folder = self.path / "wandb" / name
        if not any(folder.glob("*.synced")):  # else the server has it
            note_sent(self.path, Sent.parse(sent_before))
            shutil.rmtree(folder, ignore_errors=True)
        self._unfinished.unlink()


def note_sent(path: Path, sent: Sent) -> None:
    """Keep the last that W&B has of a run directory."""
    sent.write(path / "wandb_step")


def wandb_run_id(path: Path) -> str:
    """The W&B id of a run directory, the same whenever it is gone on with."""
    file = path / "wandb_id"
    if not file.exists():
        write_whole(file, secrets.token_hex(4))
    return file.read_text()


def wandb_mode(mode: str) -> str:
    """`auto` is online where W&B finds credentials for its server, offline where it finds none."""
    os.environ.setdefault("WANDB_SILENT", "true")
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    import wandb

    try:
        known = wandb.login(prompt=False, verify=False)
    except wandb.errors.AuthenticationError:
        known = True  # what is wrong with them W&B says when it is sent something
    return "online" if known else "offline"
