"""Which checkpoints a run has and keeps, and that it ends with the same bits however it was stopped."""

import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import tiny_runs

from rlvr.config import Config, config_from_yaml, run_directory
from rlvr.errors import UserError
from rlvr.files.run_directory import read_summary
from rlvr.runs.deadline import EXIT_STATUS, OutOfTime, Stopped
from rlvr.runs.evaluate import chosen_step
from rlvr.runs.retention import checkpoint_bytes, kept_steps
from rlvr.runs.run import run
from rlvr.runs.start import Start
from rlvr.training.batch import Batch, make_batch
from rlvr.training.checkpoint import checkpoint_path, checkpoints, remove_folder

SETTINGS = ("training.steps=4", "training.learning_rate=1e-3", "evaluation.validation_samples=2")


def tiny(folder: Path, *overrides: str) -> Config:
    return tiny_runs.tiny(folder, *SETTINGS, *overrides)


def results(path: Path) -> dict[str, bytes]:
    """What the same seed repeats bit for bit, whatever checkpoints are kept."""
    logs = [path / f"{name}.jsonl" for name in ("metrics", "validation", "accuracy", "rollouts")]
    last = checkpoint_path(path, 4) / "model.safetensors"
    return {file.name: file.read_bytes() for file in (*logs, last, *(path / "evaluation").glob("*.parquet"))}


def steps_of(path: Path) -> list[int]:
    return [step for step, _ in checkpoints(path)]


def with_optimizer(path: Path) -> list[int]:
    return [step for step, folder in checkpoints(path) if (folder / "optimizer").exists()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, with all its checkpoints whole."""
    path = run(tiny(tmp_path_factory.mktemp("runs")))
    assert steps_of(path) == [0, 1, 2, 3, 4]
    assert with_optimizer(path) == [1, 2, 3, 4]
    return path


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int, error: type[Exception] = OutOfTime) -> None:
    checks = iter([False] * steps)  # the first is before the first step

    def check_time() -> None:
        if next(checks, True):
            raise error

    monkeypatch.setattr("rlvr.runs.run.check_time", check_time)


def test_the_last_and_the_best_are_kept_and_nothing_changes(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tiny(tmp_path, "checkpoint.keep=1")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        path = run(config)
    best = chosen_step(tiny(tmp_path), path)
    assert steps_of(path) == sorted({best, 3})
    assert with_optimizer(path) == [3]
    run(config)
    best = chosen_step(tiny(tmp_path), finished)
    assert steps_of(path) == sorted({best, 4})
    assert with_optimizer(path) == []  # nothing is left to train
    assert read_summary(path)["evaluation"] == read_summary(finished)["evaluation"]
    assert results(path) == results(finished)

    (path / "summary.json").unlink()  # which costs no training, although the optimizer's state is gone
    monkeypatch.setattr("rlvr.training.learner.Learner.update", None)
    run(config)
    assert read_summary(path)["optimizer_steps"] == read_summary(finished)["optimizer_steps"]
    with pytest.raises(UserError, match="left no state of the optimizer to go on from"):
        run(tiny(tmp_path, "checkpoint.keep=1", "training.steps=6"))
    assert results(path) == results(finished)  # nothing is lost by having asked


def test_what_an_evaluation_or_the_rare_answers_need_is_kept(tmp_path: Path):
    scores = {0: 0.9, 1: 0.6, 2: 0.3, 3: 0.6, 4: 0.2}
    lines = [
        json.dumps({"step": step, "in_domain/pass@1": score, "in_domain/pass@2": 1 - score})
        for step, score in scores.items()
    ]
    (tmp_path / "validation.jsonl").write_text("\n".join(lines) + "\n")

    def kept(*overrides: str, steps: int = 4) -> set[int | None]:
        return kept_steps(tiny(tmp_path, *overrides), tmp_path, list(range(steps + 1))) - {None}

    assert kept() == {0, 1, 2, 3, 4}
    assert kept("checkpoint.keep=1") == {1, 4}  # the earlier of equals
    assert kept("checkpoint.keep=3") == {1, 2, 3, 4}
    assert kept("checkpoint.keep=1", "evaluation.latest_step=2") == {1, 4}
    assert kept("checkpoint.keep=1", "evaluation.select_by=2", "evaluation.latest_step=3") == {2, 4}
    assert kept("checkpoint.keep=1", "evaluation.checkpoint=last") == {4}
    assert kept("checkpoint.keep=1", "evaluation.checkpoint=last", "evaluation.latest_step=2") == {2, 4}
    assert kept("checkpoint.keep=1", "evaluation.rare.prompts=2") == {0, 1, 4}
    assert kept("checkpoint.keep=1", "training.checkpoint_every=2", steps=3) == {1, 2, 3}  # 3: time was up
    (tmp_path / "summary.json").write_text('{"checkpoint_step": 3}')
    assert kept("checkpoint.keep=1") == {1, 3, 4}
    (tmp_path / "validation.jsonl").write_text('{"step": 0}\n{"step": 1}\n')  # nothing could be judged
    assert kept("checkpoint.keep=1") == {3, 4}  # before, the training ended here


def test_one_to_evaluate_that_was_removed_is_said_and_no_other_is_taken(finished: Path, tmp_path: Path):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    remove_folder(checkpoint_path(path, 1))
    with pytest.raises(UserError, match=r"step-000001 is the one to evaluate, and checkpoint.keep=1 removed"):
        chosen_step(tiny(tmp_path, "checkpoint.keep=1", "evaluation.latest_step=1"), path)


def test_an_end_in_the_middle_of_a_removal_loses_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every third removal ends the process once half the files are gone."""
    config, broken_off = tiny(tmp_path, "checkpoint.keep=1"), 0

    def half(folder: Path, **_) -> None:
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        for file in files[: len(files) // 2 + 1]:
            file.unlink()
        raise KeyboardInterrupt

    rmtree = shutil.rmtree
    calls = itertools.count()

    def removal(folder: Path, **named) -> None:
        # writing a checkpoint clears the place for it, which is no removal
        if ".removed" in Path(folder).name and Path(folder).exists() and next(calls) % 3 == 0:
            half(folder)
        rmtree(folder, **named)

    monkeypatch.setattr(shutil, "rmtree", removal)
    while read_summary(run_directory(config)).get("status") != "finished":
        try:
            run(config)
        except KeyboardInterrupt:
            broken_off += 1
    assert broken_off > 2
    assert results(run_directory(config)) == results(finished)
    assert [f.name for f in (run_directory(config) / "checkpoints").iterdir() if f.name[0] == "."] == []


def test_a_checkpoint_is_due_by_time_too(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = ("training.checkpoint_every=4", "checkpoint.every_minutes=1e-9")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        stop_after(patch, 3, RuntimeError)  # as a kill: nothing is saved on the way out
        run(tiny(tmp_path, *settings))
    path = run_directory(tiny(tmp_path))
    assert steps_of(path) == [0, 3]  # the one before is replaced
    run(tiny(tmp_path, *settings))
    assert steps_of(path) == [0, 4]
    assert (path / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()


def test_a_run_that_is_asked_to_stop_is_gone_on_with(tmp_path: Path, capfd: pytest.CaptureFixture):
    """Real signals to processes of their own, each once it has logged a step more; the last is let go on."""
    settings = ["training.steps=6", "training.checkpoint_every=6", "evaluation.after_training=false"]
    whole = run(tiny(tmp_path / "whole", *settings))
    config = tiny(tmp_path, *settings)
    path = run_directory(config)
    metrics = path / "metrics.jsonl"
    for number in (signal.SIGTERM, signal.SIGUSR1):
        lines = len(metrics.read_text().splitlines()) if metrics.exists() else 0
        if (process := os.fork()) == 0:
            try:
                run(config)
            except SystemExit as end:
                os._exit(end.code)
            os._exit(1)
        while not metrics.exists() or len(metrics.read_text().splitlines()) <= lines:
            time.sleep(0.002)
        os.kill(process, number)
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == EXIT_STATUS == 75
        assert f"stopped by {number.name}; the same command goes on" in capfd.readouterr().err
        assert steps_of(path)[-1] == len(metrics.read_text().splitlines()) < 6
    run(config)
    assert (path / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    last = [checkpoint_path(folder, 6) / "model.safetensors" for folder in (path, whole)]
    assert last[0].read_bytes() == last[1].read_bytes()


def test_what_handled_a_signal_before_is_called_once_the_run_is_safe(tmp_path: Path):
    """As submitit, whose handler has the job requeued."""
    config, told = tiny(tmp_path, "training.checkpoint_every=4"), []

    def requeue(*_) -> None:
        told.append(steps_of(run_directory(config)))

    def preempted(*arguments) -> Batch:
        signal.raise_signal(signal.SIGUSR2)
        return make_batch(*arguments)

    before = signal.signal(signal.SIGUSR2, requeue)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("rlvr.training.loop.make_batch", preempted)
        run(config)
    assert signal.signal(signal.SIGUSR2, before) is requeue
    assert told == [[0, 1]]


def test_bytes_of_checkpoints():
    """Four checkpoints after the first, of 10 bytes of weights and 20 of optimizer state."""

    def of(*overrides: str) -> tuple[int, int]:
        return tuple(checkpoint_bytes(tiny(Path("runs"), *overrides), 10, 20).values())

    assert of() == (10 + 4 * 30, 0)
    assert of("checkpoint.keep=1") == (20, 50)  # the best and the last; its 20, and 30 that are being written
    assert of("checkpoint.keep=9") == (40, 50)
    assert of("checkpoint.keep=1", "evaluation.rare.prompts=2") == (30, 50)
    assert of("training.steps=0") == (0, 0)


def test_a_config_from_before_is_read(finished: Path, tmp_path: Path):
    """When `verb` and `deadline` were keys of it."""
    text = (finished / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text + "verb: evaluate\ndeadline: 1700000000.0\n")
    assert config_from_yaml(tmp_path / "config.yaml") == config_from_yaml(finished / "config.yaml")


def test_a_deadline_that_is_over_starts_nothing(tmp_path: Path):
    assert steps_of(run(tiny(tmp_path), Start(deadline=1))) == []
