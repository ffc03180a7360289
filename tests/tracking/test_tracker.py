import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wandb_file import history, offline_records, values

from rlvr.config import Config, load_config
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.tracking.tracker import Tracker, chosen


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def test_what_is_logged_offline_can_be_read_back(tmp_path: Path, offline: None):
    config = load_config(["experiment=table", "arm=grpo", "seed=3"])
    tracker = Tracker(config, tmp_path)
    tracker.log(1, {"reward/mean": 0.25}, {"seconds/step": 0.5})
    tracker.log(2, {"reward/mean": 0.5}, {"seconds/step": 0.5})
    tracker.log_evaluation(
        [{"benchmark": "gcd", "k": 1, "value": 0.5}, {"benchmark": "gcd", "k": 8, "value": 0.75}]
    )
    tracker.close()
    records = offline_records(tmp_path)
    rows = history(records)
    (run,) = [record.run for record in records if record.HasField("run")]
    sent = values(run.config.update)
    summary = {
        key: value
        for r in records
        if r.HasField("summary")
        for key, value in values(r.summary.update).items()
    }

    assert [(row["step"], row["reward/mean"]) for row in rows if "reward/mean" in row] == [
        (1, 0.25),
        (2, 0.5),
    ]
    assert rows[0]["seconds/step"] == 0.5
    assert (run.run_group, run.job_type, run.display_name) == ("table", "grpo", "grpo/seed-3")
    assert sent["algorithm"]["name"] == "grpo"
    assert any(key.startswith("evaluation/pass@k") for row in rows for key in row)
    assert summary["evaluation/gcd/pass@8"] == 0.75


def rewind(tracker: Tracker, step: int) -> None:
    """As a run does that goes on from a step."""
    for file in (tracker.metrics, tracker.timing):
        step_lines.rewind(file, step)
    step_lines.rewind(tracker.validation, step - 1)  # that of the step came after its checkpoint
    tracker.catch_up()


def test_a_resumed_run_keeps_its_id_and_sends_no_step_twice(tmp_path: Path, offline: None):
    config = load_config([])
    first = Tracker(config, tmp_path)
    for step in (1, 2, 3):
        first.log(step, {"reward/mean": float(step)})
    first.close()
    second = Tracker(config, tmp_path)
    rewind(second, 1)  # the checkpoint was that of step 1
    for step in (2, 3, 4):
        second.log(step, {"reward/mean": float(step)})
    second.close()
    records = offline_records(tmp_path)

    assert len({record.run.run_id for record in records if record.HasField("run")}) == 1
    assert [row["step"] for row in history(records) if "reward/mean" in row] == [1, 2, 3, 4]
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        1,
        2,
        3,
        4,
    ]


SCORES = {"in_domain/pass@1": 0.25, "in_domain/pass@16": 0.75, "gcd": 0.5}


def validated_and_resumed(config: Config, path: Path) -> None:
    """Two steps and their validations, of which the last is made again after a resume, and a third step."""
    first = Tracker(config, path)
    first.catch_up()
    first.log_validation(0, SCORES)
    first.log(1, {"reward/mean": 0.25})
    first.log(2, {"reward/mean": 0.5})
    first.log_validation(2, SCORES)
    first.log(3, {"reward/mean": 0.0})  # lost: the checkpoint was that of step 2
    first.close()
    second = Tracker(config, path)
    rewind(second, 2)
    second.log_validation(2, SCORES)
    second.log(3, {"reward/mean": 0.75})
    second.log_validation(3, {"in_domain/pass@1": 0.5})
    second.close()


def test_wandb_has_every_validation_once_at_its_step(tmp_path: Path, offline: None):
    validated_and_resumed(load_config([]), tmp_path)
    rows = history(offline_records(tmp_path))
    steps = [row["step"] for row in rows]
    told = [row for row in rows if "validation/in_domain/pass@1" in row]

    assert steps == sorted(steps)
    assert [row["step"] for row in rows if "reward/mean" in row] == [1, 2, 3]
    assert [(row["step"], row["validation/in_domain/pass@1"]) for row in told] == [
        (0, 0.25),
        (2, 0.25),
        (3, 0.5),
    ]
    assert told[1].keys() >= {"validation/in_domain/pass@16", "validation/gcd"}
    assert "validation/gcd" not in told[2]  # as nothing of it could be judged there
    written = step_lines.read(tmp_path / "validation.jsonl")
    assert written == [
        {"step": 0, **SCORES},
        {"step": 2, **SCORES},
        {"step": 3, "in_domain/pass@1": 0.5},
    ]


def test_wandb_gets_validations_that_stand_in_the_files_alone(tmp_path: Path, offline: None):
    """Those of a hand-made run: in order, without nulls, and not those before what it has already."""
    step_lines.append(tmp_path / "metrics.jsonl", 4, {"reward/mean": 0.5})
    for step in (0, 4, 8):
        step_lines.append(tmp_path / "validation.jsonl", step, {"in_domain/pass@1": step / 8, "gcd": None})
    (tmp_path / "wandb_step").write_text("3")  # by a version that sent no validations
    for _ in range(2):
        tracker = Tracker(load_config([]), tmp_path)
        tracker.catch_up()
        tracker.close()
    assert (tmp_path / "wandb_step").read_text() == "8 validated"
    rows = history(offline_records(tmp_path))
    assert [{key: row[key] for key in row if not key.startswith("_")} for row in rows] == [
        {"step": 4, "reward/mean": 0.5},
        {"step": 4, "validation/in_domain/pass@1": 0.5},
        {"step": 8, "validation/in_domain/pass@1": 1.0},
    ]


def test_tensorboard_and_mlflow_have_every_validation_once_at_its_step(tmp_path: Path):
    from mlflow.tracking import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = load_config(["tracking=[tensorboard,mlflow]", f"runs={tmp_path}", "tracking.project=mine"])
    validated_and_resumed(config, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    expected = {
        "in_domain/pass@1": [(0, 0.25), (2, 0.25), (3, 0.5)],
        "in_domain/pass@16": [(0, 0.75), (2, 0.75)],
        "gcd": [(0, 0.5), (2, 0.5)],
    }
    for name, points in expected.items():
        assert [(e.step, e.value) for e in events.Scalars(f"validation/{name}")] == points
        sent = client.get_metric_history(run.info.run_id, f"validation/{name.replace('@', '_at_')}")
        assert [(metric.step, metric.value) for metric in sent] == points


def test_what_a_kill_took_from_wandb_is_sent_again(tmp_path: Path, offline: None):
    """Offline, W&B writes what it was sent only when it has much of it, or is told to finish."""
    code = (
        "import os, sys; from pathlib import Path; from rlvr.config import load_config; "
        "from rlvr.tracking.tracker import Tracker; t = Tracker(load_config([]), Path(sys.argv[1])); "
        "[t.log(step, {'reward/mean': float(step)}) for step in (1, 2, 3)]; "
        "t.log_validation(3, {'gcd': 0.5}); os.kill(os.getpid(), 9)"
    )
    # with a service process of its own, as a run has
    environment = {key: value for key, value in os.environ.items() if key != "WANDB_SERVICE"}
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=False)
    assert killed.returncode == -9
    resumed = Tracker(load_config([]), tmp_path)
    rewind(resumed, 2)
    for step in (3, 4):
        resumed.log(step, {"reward/mean": float(step)})
        resumed.log_validation(step, {"gcd": step / 8})
    resumed.close()
    evaluation = Tracker(load_config([]), tmp_path)  # after a run that ended well there is nothing to do
    evaluation.catch_up()
    evaluation.close()

    rows = history(offline_records(tmp_path))
    sent = [(row["step"], row["reward/mean"]) for row in rows if "reward/mean" in row]
    assert sent == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    validated = [(row["step"], row["validation/gcd"]) for row in rows if "validation/gcd" in row]
    assert validated == [(3, 0.375), (4, 0.5)]
    assert not (tmp_path / "wandb_unfinished").exists()


def test_what_a_switched_off_wandb_was_not_sent_is_sent_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    off = Tracker(load_config([]), tmp_path)
    off.log(1, {"reward/mean": 0.5})
    off.close()
    monkeypatch.setenv("WANDB_MODE", "offline")
    later = Tracker(load_config([]), tmp_path)
    later.catch_up()
    later.close()
    assert [row["step"] for row in history(offline_records(tmp_path)) if "reward/mean" in row] == [1]


def test_a_rendered_table_becomes_a_run_of_its_own(tmp_path: Path, offline: None):
    (tmp_path / "table.csv").write_text("arm,value,low\ngrpo,0.25,\nf-grpo,0.5,0.4\n")
    tracker = Tracker(load_config(["experiment=fgrpo/table1/laptop", "arm=table"]), tmp_path)
    tracker.log_table([tmp_path / "table.csv"])
    tracker.close()
    (media,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.table.json")

    assert json.loads(media.read_text())["data"] == [["grpo", 0.25, None], ["f-grpo", 0.5, 0.4]]


def test_local_tracking_starts_no_wandb(tmp_path: Path):
    tracker = Tracker(load_config(["tracking=local"]), tmp_path)
    tracker.log(1, {"reward/mean": 0.5}, {"seconds/step": 2.0})
    tracker.close()

    assert not (tmp_path / "wandb").exists()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "reward/mean": 0.5}
    assert json.loads((tmp_path / "timing.jsonl").read_text()) == {"step": 1, "seconds/step": 2.0}


def test_a_failing_dashboard_does_not_cost_the_run(
    tmp_path: Path, offline: None, capsys: pytest.CaptureFixture
):
    tracker = Tracker(load_config(["tracking.project=not/a/project"]), tmp_path)
    tracker.log(1, {"reward/mean": 0.5})
    tracker.close()

    assert "W&B is off for this run" in capsys.readouterr().out
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["step"] == 1


def test_a_run_that_wandb_failed_in_is_not_taken_for_the_next_one(
    tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch
):
    """A process of a sweep has several runs, one after the other."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first = Tracker(load_config(["arm=first"]), folders[0])
    with monkeypatch.context() as disk_is_full:
        disk_is_full.setattr("rlvr.tracking.weights_and_biases.note_sent", lambda *_: 1 / 0)
        first.log(1, {"reward/mean": 0.25})
    second = Tracker(load_config(["arm=second"]), folders[1])
    second.log(1, {"reward/mean": 0.75})
    second.close()
    records = offline_records(folders[1])
    assert [record.run.run_id for record in records if record.HasField("run")] == [
        (folders[1] / "wandb_id").read_text()
    ]
    assert [row["reward/mean"] for row in history(records)] == [0.75]


def test_auto_is_online_where_wandb_finds_credentials_for_its_server(tmp_path: Path):
    """In a process of its own, since W&B keeps what it found."""
    code = """
from pathlib import Path
from rlvr.tracking.weights_and_biases import wandb_mode
said = [wandb_mode("auto"), wandb_mode("online")]
for host, key in (("api.wandb.ai", 40 * "a"), ("wandb.mine.org", "short"), ("wandb.mine.org", 40 * "a")):
    Path("netrc").write_text(f"machine {host} login user password {key}\\n")
    said.append(wandb_mode("auto"))
print(*said)
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    environment |= {"NETRC": "netrc", "WANDB_BASE_URL": "https://wandb.mine.org"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # with none, as given, with those for another server, with some that W&B then refuses, with its own
    assert said.split() == ["offline", "online", "offline", "online", "online"]


ROWS = [{"benchmark": "gcd", "k": 1, "value": 0.5}, {"benchmark": "gcd", "k": 8, "value": 0.75}]


def log_in_two_parts(config: Config, path: Path) -> None:
    """Three steps, of which the last two are done again after a resume, and an evaluation."""
    first = Tracker(config, path)
    for step in (1, 2, 3):
        first.log(step, {"reward/mean": step / 4, "update/loss": math.nan}, {"seconds/step": 0.5})
    first.close()
    second = Tracker(config, path)
    rewind(second, 1)
    for step in (2, 3):
        second.log(step, {"reward/mean": step / 4}, {"seconds/step": 0.5})
    second.log_evaluation(ROWS)
    second.close()


def test_tensorboard_has_every_step_once(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log_in_two_parts(load_config(["tracking=tensorboard"]), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(events.Tags()["scalars"]) == [
        "pass@k/gcd",
        "reward/mean",
        "seconds/step",
    ]  # NaN is no point
    assert [(e.step, e.value) for e in events.Scalars("reward/mean")] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert [(e.step, e.value) for e in events.Scalars("pass@k/gcd")] == [(1, 0.5), (8, 0.75)]


def test_mlflow_has_every_step_once_and_the_config(tmp_path: Path):
    from mlflow.tracking import MlflowClient

    config = load_config(["tracking=mlflow", f"runs={tmp_path}", "arm=grpo", "tracking.project=mine"])
    path = tmp_path / "run"
    path.mkdir()
    log_in_two_parts(config, path)
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert (run.info.run_name, run.info.status) == ("grpo/seed-1", "FINISHED")
    assert run.data.params["algorithm.name"] == "grpo"

    def history(name: str) -> list[tuple[int, float]]:
        return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]

    assert history("reward/mean") == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert history("pass_at_k/gcd") == [(1, 0.5), (8, 0.75)]


def test_an_evaluation_takes_the_place_of_the_one_before(tmp_path: Path, offline: None):
    """The first went up to k = 8, the second up to 4: nothing of 8 is in the summary any more."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = load_config(["tracking=[wandb,tensorboard]", f"runs={tmp_path}", "arm=grpo"])
    path = tmp_path / "run"
    path.mkdir()
    log_in_two_parts(config, path)
    again = [{"benchmark": "gcd", "k": 1, "value": 0.25}, {"benchmark": "gcd", "k": 4, "value": 0.625}]
    tracker = Tracker(config, path)
    tracker.catch_up()
    tracker.log_evaluation(again, earlier=ROWS)
    tracker.close()

    events = EventAccumulator(str(path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("pass@k/gcd")] == [(1, 0.25), (4, 0.625)]
    summaries = [values(r.summary.update) for r in offline_records(path) if r.HasField("summary")]
    said = {key: value for summary in summaries for key, value in summary.items() if "gcd/pass@" in key}
    assert said == {
        "evaluation/gcd/pass@1": 0.25,
        "evaluation/gcd/pass@8": None,
        "evaluation/gcd/pass@4": 0.625,
    }


def test_runs_that_start_together_share_an_mlflow_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """The second looks for it just before the first has made it."""
    from mlflow.tracking import MlflowClient

    found = MlflowClient.get_experiment_by_name
    for arm, there in (("first", True), ("second", False)):
        looks = iter([there])
        monkeypatch.setattr(
            MlflowClient,
            "get_experiment_by_name",
            lambda *given, looks=looks: found(*given) if next(looks, True) else None,
        )
        (tmp_path / arm).mkdir()
        config = load_config(["tracking=mlflow", f"runs={tmp_path}", f"arm={arm}", "tracking.project=mine"])
        Tracker(config, tmp_path / arm).close()
    assert "MLflow is off" not in capsys.readouterr().out
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    assert len(client.search_runs([client.get_experiment_by_name("mine").experiment_id])) == 2


def test_mlflow_takes_a_folder_and_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """Parts of a reward are named by whoever wrote it."""
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    uri = (tmp_path / "store").as_uri()
    tracker = Tracker(load_config(["tracking=mlflow", f"tracking.uri={uri}"]), tmp_path)
    tracker.log(1, {"reward/part/form (strict)": 0.5})
    tracker.close()
    assert "MLflow is off" not in capsys.readouterr().out
    history = MlflowClient(tracking_uri=uri).get_metric_history(
        (tmp_path / "mlflow_id").read_text(), "reward/part/form _strict_"
    )
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.5)]


def test_an_address_with_a_password_is_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    address = "http://me:secret@127.0.0.1:9"  # where nobody answers
    with pytest.raises(UserError, match=r"accepted is an address without a password.*MLFLOW_TRACKING_URI"):
        load_config(["tracking=mlflow", f"tracking.uri='{address}'"])
    assert load_config(["tracking=mlflow", "tracking.uri='http://me@host:80/a:b@c'"])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = Tracker(load_config(["tracking=mlflow"]), tmp_path)
    tracker.log(1, {"reward/mean": 0.5})
    tracker.close()
    said = capsys.readouterr().out
    assert said.count("MLflow is off for this run") == 1
    assert "127.0.0.1" in said and "secret" not in said
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_several_at_once_and_one_that_fails_leaves_the_others(
    tmp_path: Path, offline: None, capsys: pytest.CaptureFixture
):
    overrides = ["tracking=[wandb,tensorboard,mlflow]", "tracking.uri=nowhere://x"]
    config = load_config(overrides)
    assert chosen(config) == ["wandb", "tensorboard", "mlflow"]
    assert chosen(load_config(["tracking=local"])) == []
    assert chosen(load_config()) == ["wandb"]
    tracker = Tracker(config, tmp_path)
    tracker.log(1, {"reward/mean": 0.5})
    tracker.close()
    assert "MLflow is off for this run" in capsys.readouterr().out
    assert list(tmp_path.glob("tensorboard/events.*"))
    assert [row["step"] for row in history(offline_records(tmp_path)) if "reward/mean" in row] == [1]
