"""What of an evaluation is used again: samples that were made in exactly the way that is asked for, and the
texts of those that only another judge judged (tests/evaluation/test_judging_again.py)."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import tiny_runs

from rlvr.config import Config, config_from_yaml, run_directory
from rlvr.errors import UserError
from rlvr.evaluation import samples_key
from rlvr.evaluation.sampling import key_of
from rlvr.files.run_directory import read_summary
from rlvr.files.run_files import RunFiles
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs import evaluate
from rlvr.runs.deadline import OutOfTime
from rlvr.runs.evaluate import is_finished, sampling_settings
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path

SETTINGS = ("training.learning_rate=1e-3", "evaluation.samples_per_shard=4")
CHANGES = [
    "evaluation.sampling.temperature=0.01",
    "evaluation.sampling.top_p=0.5",
    "evaluation.sampling.top_k=2",
    "evaluation.sampling.max_tokens=5",
    "evaluation.seed=7",
    "evaluation.samples=8",
    "evaluation.samples_per_shard=8",
    "evaluation.checkpoint=last",
    "benchmark.tasks.countdown_3.seed=5",
    "benchmark.tasks.countdown_3.size=3",
]


def tiny(folder: Path, *overrides: str) -> Config:
    return tiny_runs.tiny(folder, *SETTINGS, *overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best checkpoint, by validation, is step 1."""
    folder = tmp_path_factory.mktemp("runs")
    path = run(tiny(folder, "evaluation.after_training=false"))
    scores = [{"step": step, "in_domain/pass@1": score} for step, score in enumerate((0.0, 0.5, 0.25))]
    (path / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    summary = read_summary(path)
    del summary["files"]["validation.jsonl"]
    (path / "summary.json").write_text(json.dumps(summary))
    return run(tiny(folder))


def test_samples_of_another_engine_argument_are_others(tmp_path: Path):
    plain, quantized = (
        sampling_settings(tiny(tmp_path, "rollout=vllm", *given), None)["made_with"]
        for given in ([], ["+rollout.engine_args.quantization=fp8"])
    )
    assert quantized == plain | {"engine_args": {"quantization": "fp8"}}


def copy_of(finished: Path, folder: Path) -> Path:
    path = run_directory(tiny(folder))
    shutil.copytree(finished, path)
    return path


def samples_of(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path / "evaluation" / "countdown_3.parquet")


def generated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many problems each later call of the engine samples."""
    calls: list[int] = []
    generate = TransformersEngine.generate

    def record(self, requests, *arguments, **named):
        calls.append(len(requests))
        return generate(self, requests, *arguments, **named)

    monkeypatch.setattr(TransformersEngine, "generate", record)
    return calls


def test_temperature_0_evaluates_and_says_what_more_samples_are_worth(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    copy_of(finished, tmp_path)
    found = samples_of(run(tiny(tmp_path, "evaluation.sampling.temperature=0")))
    assert len(found) == 16
    assert (found.groupby("problem_id")["text"].nunique() == 1).all()
    said = " ".join(capsys.readouterr().err.split())
    assert "the 4 samples of a problem are one and the same, so evaluation.samples=1 says as much" in said


@pytest.mark.parametrize("change", CHANGES)
def test_another_value_measures_anew_beside_the_old(
    finished: Path,
    tmp_path: Path,
    change: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    path = copy_of(finished, tmp_path)
    before = (path / "evaluation" / "countdown_3.parquet").read_bytes()
    assert not is_finished(tiny(tmp_path, change), path)
    run(tiny(tmp_path, change))

    new = path / "evaluation" / "countdown_3.parquet"
    assert new.read_bytes() != before
    assert [file.read_bytes() for file in path.glob("evaluation/*/countdown_3.parquet")] == [before]
    said = " ".join(capsys.readouterr().err.split())
    assert "was made with" in said and "measuring anew" in said
    assert is_finished(tiny(tmp_path, change), path)
    assert not is_finished(tiny(tmp_path), path)

    calls = generated(monkeypatch)
    run(tiny(tmp_path))  # the old value again: its samples are still there
    assert calls == []
    assert new.read_bytes() == before
    assert {"evaluation", "checkpoint_step"} <= read_summary(path).keys()
    assert read_summary(path)["evaluation"] == read_summary(finished)["evaluation"]


@pytest.mark.parametrize("change", [change for change in CHANGES if "size=" not in change])
def test_half_an_evaluation_is_not_gone_on_with_in_another_way(
    finished: Path,
    tmp_path: Path,
    change: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    def broken_off(*overrides: str) -> Path:
        path = copy_of(finished, tmp_path / "-".join(["broken", *overrides]).replace("=", "_"))
        shutil.rmtree(path / "evaluation")
        summary = read_summary(path)
        (path / "summary.json").write_text(json.dumps(summary | {"status": "trained", "files": {}}))
        return path

    whole = broken_off("whole")
    run(tiny(whole.parents[2], change))
    path = broken_off()
    checks = iter([False] * 3)

    def check_time() -> None:
        if next(checks, True):
            raise OutOfTime

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "check_time", check_time)
        run(tiny(path.parents[2]))
    (shards,) = path.glob("evaluation/*/countdown_3.shards")
    assert len(list(shards.iterdir())) == 2
    capsys.readouterr()
    run(tiny(path.parents[2], change))
    pd.testing.assert_frame_equal(samples_of(path), samples_of(whole))
    assert "of a broken-off evaluation, was made with" in " ".join(capsys.readouterr().err.split())
    assert len(list(shards.iterdir())) == 2  # they stay

    calls = generated(monkeypatch)
    run(tiny(path.parents[2]))
    assert len(calls) == 2  # of four shards
    pd.testing.assert_frame_equal(samples_of(path), samples_of(finished))


def test_config_says_what_was_done_and_not_what_was_asked_for(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = copy_of(finished, tmp_path)

    def no_time() -> None:
        raise OutOfTime

    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "check_time", no_time)
        run(tiny(tmp_path, "evaluation.sampling.temperature=0.5"))
    assert config_from_yaml(path / "config.yaml").evaluation.sampling.temperature == 1.0
    run(tiny(tmp_path, "evaluation.sampling.temperature=0.5"))
    assert config_from_yaml(path / "config.yaml").evaluation.sampling.temperature == 0.5
    assert key_of(path / "evaluation" / "countdown_3.parquet")["sampling"]["temperature"] == 0.5


def test_other_k_need_no_samples(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = copy_of(finished, tmp_path)
    calls = generated(monkeypatch)
    run(tiny(tmp_path, "evaluation.k=[1,3]"))
    assert calls == []
    assert read_summary(path)["evaluation"]["countdown_3"]["pass@k"].keys() == {"1", "3"}


def test_another_version_of_the_verifier_judges_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """With no engine, for which the model would be loaded."""
    path = copy_of(finished, tmp_path)
    monkeypatch.setattr(evaluate, "open_engine", None)
    monkeypatch.setattr(samples_key, "verifier_version", lambda name: "another")
    assert not is_finished(tiny(tmp_path), path)
    run(tiny(tmp_path))
    said = " ".join(capsys.readouterr().err.split())
    assert "what is there was made with verifiers.expression=" in said
    assert "judging again countdown_3" in said
    pd.testing.assert_frame_equal(samples_of(path), samples_of(finished))
    assert is_finished(tiny(tmp_path), path)
    assert read_summary(path)["evaluation"] == read_summary(finished)["evaluation"]


def test_the_version_of_a_verifier_is_that_of_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    versions = []
    for answer in ("right", "wrong"):
        (tmp_path / "my_verifier.py").write_text(f"def judge(problem, text):\n    return {answer!r}\n")
        monkeypatch.syspath_prepend(tmp_path)
        module = __import__("my_verifier")
        monkeypatch.setattr(samples_key, "added", lambda kind, own, judge=module.judge: own | {"mine": judge})
        versions.append(samples_key.verifier_version.__wrapped__("mine"))
    assert versions[0] != versions[1]
    splits = []
    for trained in (True, False):
        monkeypatch.setattr(samples_key, "has_trained_splitter", lambda trained=trained: trained)
        splits.append(samples_key.verifier_version.__wrapped__("ifeval"))
    assert splits[0] != splits[1]  # sentences of IFEval end elsewhere
    assert samples_key.verifier_version("math") == samples_key.verifier_version("multiple_choice")  # one room


@pytest.mark.parametrize("harm", ["lost", "a bit", "half of the rows", "rows twice", "of another run"])
def test_samples_that_are_not_those_of_the_run_are_measured_again(finished: Path, tmp_path: Path, harm: str):
    path = copy_of(finished, tmp_path)
    file = path / "evaluation" / "countdown_3.parquet"
    whole = file.read_bytes()
    table = pd.read_parquet(file)
    if harm == "lost":
        file.unlink()
    elif harm == "a bit":
        content = bytearray(whole)
        content[len(content) // 10] ^= 1
        file.write_bytes(content)
    elif harm == "of another run":
        other = run(tiny(tmp_path / "other", "seed=2"))
        shutil.copy(other / "evaluation" / "countdown_3.parquet", file)
    else:
        rows = table[: len(table) // 2] if harm == "half of the rows" else pd.concat([table, table])
        rows.to_parquet(file)
    assert not is_finished(tiny(tmp_path), path)
    run(tiny(tmp_path))
    assert file.read_bytes() == whole
    assert is_finished(tiny(tmp_path), path)


def test_a_damaged_best_checkpoint_is_said_and_marked(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """Before the evaluation; one that is damaged after it takes nothing from what was measured."""
    path = copy_of(finished, tmp_path)
    weights = checkpoint_path(path, 1) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    run(tiny(tmp_path))
    assert read_summary(path) == read_summary(finished)

    summary = read_summary(path)
    shutil.rmtree(path / "evaluation")
    (path / "summary.json").write_text(json.dumps(summary | {"status": "trained", "files": {}}))
    run(tiny(tmp_path))
    assert "step-000001, the better one, is damaged" in " ".join(capsys.readouterr().err.split())
    assert read_summary(path)["checkpoint_step"] == 2
    assert read_summary(path)["evaluated"]["damaged"].keys() == {"1"}


def test_validation_keeps_to_its_settings_until_the_run_is_trained(finished: Path, tmp_path: Path):
    path = copy_of(finished, tmp_path)
    (path / "summary.json").unlink()
    for change in (
        "evaluation.validation_samples=3",
        "evaluation.seed=7",
        "evaluation.sampling.temperature=0.5",
        "benchmark.tasks.countdown_3.seed=5",
    ):
        with pytest.raises(UserError, match=f"holds a run with {change.partition('=')[0]}="):
            run(tiny(tmp_path, change))


def test_more_steps_are_validated_as_those_before_whatever_was_evaluated_since(tmp_path: Path):
    """What an evaluation changed in config.yaml was held for what the training had: it went on with other
    problems and draws in one validation.jsonl, and not with its own."""
    evaluated_otherwise = (
        "evaluation.sampling.temperature=0.5",
        "benchmark.tasks.countdown_3.size=3",
        "evaluation.k=[1,4]",
    )
    path = run(tiny(tmp_path / "parts", "training.steps=1"))
    run(tiny(tmp_path / "parts", "training.steps=1", *evaluated_otherwise))
    keys = ("sampling.temperature", r"tasks\.countdown_3\.size", "validation_samples' k")
    for change, key in zip(evaluated_otherwise, keys, strict=True):
        with pytest.raises(UserError, match=rf"holds a run with \S+\.{key}="):
            run(tiny(tmp_path / "parts", change))
    run(tiny(tmp_path / "parts"))
    whole = run(tiny(tmp_path / "whole"))
    assert (path / "validation.jsonl").read_text() == (whole / "validation.jsonl").read_text()


def test_the_last_checkpoints_numbers_are_those_of_the_evaluation_or_none(finished: Path, tmp_path: Path):
    """Drawn at another temperature, the chosen checkpoint stood beside the last one of before."""
    path = copy_of(finished, tmp_path)
    run(tiny(tmp_path, "evaluation.last_too=true"))
    before = read_summary(path)["last"]["evaluation"]
    run(tiny(tmp_path, "evaluation.sampling.temperature=0.5"))
    assert RunFiles(path).at_last_step().samples("countdown_3") is None
    run(tiny(tmp_path, "evaluation.last_too=true"))
    assert read_summary(path)["last"]["evaluation"] == before
