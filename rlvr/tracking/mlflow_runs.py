"""A run in MLflow: on a server, or in files beside the runs."""

import math
import os
import re
import time
from pathlib import Path
from typing import Any

import yaml

from rlvr.config import Config, arm_name, to_yaml
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import flat
from rlvr.tracking.sent import Sent

AT_ONCE = 100  # parameters of one request, as MLflow's servers take them
OTHER = re.compile(r"[^\w\-. :/]")  # characters that MLflow has no metric with
# of the environment, where it has none of its own
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # else MLflow takes a database for a folder
    # a server that is gone may hold a run up for half a minute, not for MLflow's quarter of an hour
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MLflow:
    """See `rlvr.tracking.tracker.Sink`. `mlflow_id` has the run's id, `mlflow_step` the last it has."""

    def __init__(self, config: Config, path: Path):
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        in_files = (Path(config.runs) / "mlruns").absolute().as_uri()
        uri = config.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or in_files
        from mlflow.tracking import MlflowClient

        self.path = path
        self._client = MlflowClient(tracking_uri=uri)
        self._id = self._run_id(config)
        self.sent = Sent.read(path / "mlflow_step")

    def log(self, sent: Sent, values: dict[str, float]) -> None:
        """One step's numbers, or those of its validation."""
        self.sent = sent
        sent.write(self.path / "mlflow_step")  # first, so that no step is there twice
        self._log({name: value for name, value in values.items() if name != "step"}, sent.step)

    def log_evaluation(self, rows: list[dict[str, Any]], earlier: list[dict[str, Any]]) -> None:
        """A curve for each benchmark, with k in the place of the step; MLflow has no @ in names, and takes no
        point of an earlier evaluation back."""
        for row in rows:
            self._log({f"pass_at_k/{row['benchmark']}": row["value"]}, row["k"])

    def log_table(self, files: list[Path]) -> None:
        """The table's files as artifacts."""
        for file in files:
            self._client.log_artifact(self._id, str(file))

    def close(self) -> None:
        self._client.set_terminated(self._id)

    def _run_id(self, config: Config) -> str:
        """The run's id, made where it has none yet, with the config as its parameters."""
        from mlflow.entities import Param

        file = self.path / "mlflow_id"
        if file.exists():
            self._client.update_run(file.read_text(), status="RUNNING")
            return file.read_text()
        run = self._client.create_run(
            self._experiment_id(config.tracking.project),
            run_name=f"{arm_name(config)}/seed-{config.seed}",
            tags={"experiment": config.experiment, "arm": arm_name(config), "folder": str(self.path)},
        )
        settings = [Param(name, str(value)) for name, value in flat(yaml.safe_load(to_yaml(config))).items()]
        for start in range(0, len(settings), AT_ONCE):
            self._client.log_batch(run.info.run_id, params=settings[start : start + AT_ONCE])
        write_whole(file, run.info.run_id)
        return run.info.run_id

    def _experiment_id(self, project: str) -> str:
        """Of the project, made where there is none: by whichever comes first of runs that start together."""
        from mlflow.exceptions import MlflowException

        if known := self._client.get_experiment_by_name(project):
            return known.experiment_id
        try:
            return self._client.create_experiment(project)
        except MlflowException:
            if made := self._client.get_experiment_by_name(project):
                return made.experiment_id
            raise

    def _log(self, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(OTHER.sub("_", name.replace("@", "_at_")), value, now, step)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        self._client.log_batch(self._id, metrics=metrics)
