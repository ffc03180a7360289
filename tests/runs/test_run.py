"""Whole runs on the real small policy: what they leave behind, and that nothing is lost on the way."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from safetensors import SafetensorError

from rlvr.config import Config, load_config, run_directory, to_yaml
from rlvr.errors import UserError
from rlvr.evaluation.samples_key import key_name
from rlvr.evaluation.sampling import SCHEMA, key_of, write_rows
from rlvr.files.atomic import user_errors_for
from rlvr.files.run_directory import read_summary
from rlvr.files.run_files import sealed_json
from rlvr.problems import load_problems
from rlvr.runs.deadline import OutOfTime
from rlvr.runs.evaluate import chosen_step, is_finished
from rlvr.runs.run import run, say_what_surrounds
from rlvr.runs.start import Start
from rlvr.training.checkpoint import checkpoint_path, latest_checkpoint

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=6",
    "training.steps=4",
    "training.checkpoint_every=2",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=2",
    "training.learning_rate=1e-3",
    "evaluation.samples=8",
    "evaluation.k=[1,2,4,8]",
    "evaluation.samples_per_shard=16",
]


def tiny(folder: Path, *overrides: str) -> Config:
    return load_config([*TINY, f"runs={folder}", "arm=tiny", *overrides])


def deterministic_files(path: Path) -> dict[str, bytes]:
    """What the same seed repeats bit for bit."""
    lines = [path / f"{name}.jsonl" for name in ("metrics", "validation", "rollouts")]
    files = [*lines, *(path / "evaluation").glob("*.parquet")]
    weights = [file / "model.safetensors" for file in (path / "checkpoints").iterdir()]
    return {str(file.relative_to(path)): file.read_bytes() for file in [*files, *weights]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    return run(tiny(tmp_path_factory.mktemp("runs")))


def test_a_run_leaves_what_the_design_says(finished: Path):
    metrics = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    samples = pd.read_parquet(finished / "evaluation" / "countdown_3.parquet")
    summary = json.loads((finished / "summary.json").read_text())
    provenance = json.loads((finished / "provenance.json").read_text())

    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    assert all(line["update/steps"] == 4 for line in metrics)
    assert max(line["mismatch/log_ratio_max"] for line in metrics) < 1e-4
    assert [path.name for path in sorted((finished / "checkpoints").iterdir())] == [
        "step-000000",
        "step-000002",
        "step-000004",
    ]
    assert len(samples) == 6 * 8
    assert samples.groupby("problem_id")["sample"].apply(sorted).map(lambda s: s == list(range(8))).all()
    correct = (samples["verdict"] == "correct").mean()
    assert summary["evaluation"]["countdown_3"]["pass@k"]["1"] == pytest.approx(correct)
    assert summary["status"] == "finished"
    assert {"git", "packages", "hardware", "command", "seed", "data"} <= provenance.keys()


def test_training_changes_the_policy(finished: Path):
    before, after = (checkpoint_path(finished, step) / "model.safetensors" for step in (0, 4))
    assert before.read_bytes() != after.read_bytes()


def test_same_seed_same_bits_and_another_seed_others(finished: Path, tmp_path: Path):
    again = run(tiny(tmp_path))
    other = run(tiny(tmp_path, "seed=2"))

    assert deterministic_files(again) == deterministic_files(finished)
    assert (other / "metrics.jsonl").read_bytes() != (finished / "metrics.jsonl").read_bytes()


def test_a_finished_run_is_not_run_again(finished: Path):
    before = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.is_file()}
    changed = {"lock", "config.yaml"}
    run(tiny(finished.parents[2]))
    after = {file: file.stat().st_mtime_ns for file in finished.rglob("*") if file.is_file()}

    assert {file for file in after if before.get(file) != after[file]} <= {
        finished / name for name in changed
    }


def test_a_killed_run_ends_with_the_same_bits(finished: Path, tmp_path: Path):
    """Killed once it has logged its third step, one after its last checkpoint."""
    code = (
        "import sys; from rlvr.config import load_config; from rlvr.runs.run import run; "
        "run(load_config(sys.argv[1:]))"
    )
    overrides = [*TINY, f"runs={tmp_path}", "arm=tiny"]
    metrics = tmp_path / "adhoc" / "tiny" / "seed-1" / "metrics.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *overrides], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    while not (metrics.exists() and len(metrics.read_text().splitlines()) >= 3) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = run(tiny(tmp_path))
    assert deterministic_files(resumed) == deterministic_files(finished)


def test_a_longer_run_goes_on_with_the_bits_of_one_that_was_long_from_the_start(
    finished: Path, tmp_path: Path
):
    """It ended after 3 steps, where no checkpoint is due: that one, its validation and its groups go."""
    shorter = run(tiny(tmp_path, "training.steps=3"))
    assert (shorter / "checkpoints" / "step-000003").is_dir()
    assert run(tiny(tmp_path)) == shorter
    assert deterministic_files(shorter) == deterministic_files(finished)
    summaries = [json.loads((path / "summary.json").read_text()) for path in (shorter, finished)]
    for key in ("status", "evaluation", "checkpoint_step", "trained_steps", "optimizer_steps", "tokens"):
        assert summaries[0][key] == summaries[1][key]
    with pytest.raises(UserError, match=r"steps=4, not 3: it may be given more steps and not fewer.*arm="):
        run(tiny(tmp_path, "training.steps=3"))


def test_a_run_whose_schedule_depends_on_its_steps_is_not_made_longer(tmp_path: Path):
    sgpo = ["curriculum=sgpo", "group_size=inverse_success"]
    config = tiny(tmp_path, *sgpo)
    run_directory(config).mkdir(parents=True)
    (run_directory(config) / "config.yaml").write_text(to_yaml(config))
    with pytest.raises(UserError, match="what curriculum=sgpo does at a step depends on how many there are"):
        run(tiny(tmp_path, *sgpo, "training.steps=8"))


def test_a_rate_that_falls_is_that_of_the_unbroken_run_and_of_no_longer_one(tmp_path: Path):
    falls = ["training.lr_scheduler_type=linear", "training.warmup_steps=1"]
    finished = run(tiny(tmp_path / "unbroken", *falls))
    rates = [
        json.loads(line)["update/learning_rate"]
        for line in (finished / "metrics.jsonl").read_text().splitlines()
    ]
    assert rates == pytest.approx([left / 15 * 1e-3 for left in (13, 9, 5, 1)])

    resumed = run_directory(tiny(tmp_path / "resumed", *falls))
    shutil.copytree(finished, resumed)
    (resumed / "summary.json").unlink()
    for left in ("checkpoints/step-000004", "evaluation"):
        shutil.rmtree(resumed / left)
    run(tiny(tmp_path / "resumed", *falls))
    assert deterministic_files(resumed) == deterministic_files(finished)

    with pytest.raises(UserError, match=r"steps=4, not 5: the rate of .*=linear falls towards the last step"):
        run(tiny(tmp_path / "unbroken", *falls, "training.steps=5"))


def test_a_run_that_kept_no_optimizer_is_not_made_longer(finished: Path, tmp_path: Path):
    folder = tmp_path / "adhoc" / "tiny" / "seed-1"
    shutil.copytree(finished, folder)
    manifest = folder / "checkpoints" / "step-000004" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"optimizer": False}))
    with pytest.raises(UserError, match="left no state of the optimizer to go on from; name this one"):
        run(tiny(tmp_path, "training.steps=6"))


def test_a_damaged_checkpoint_is_passed_over(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    config = tiny(tmp_path)
    shutil.copytree(finished, run_directory(config))
    weights = checkpoint_path(run_directory(config), 4) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for file in ("summary.json", "evaluation/countdown_3.parquet"):
        (run_directory(config) / file).unlink()

    found = latest_checkpoint(run_directory(config))
    assert found is not None
    assert found[0] == 2
    assert "digest" in capsys.readouterr().err
    assert deterministic_files(run(config)) == deterministic_files(finished)


def test_an_evaluation_goes_on_from_its_last_whole_shard(finished: Path, tmp_path: Path):
    config = tiny(tmp_path)
    path = run_directory(config)
    shutil.copytree(finished, path)
    whole = pd.read_parquet(path / "evaluation" / "countdown_3.parquet")
    key = key_of(path / "evaluation" / "countdown_3.parquet")
    (path / "evaluation" / "countdown_3.parquet").unlink()
    summary = read_summary(path) | {"status": "trained"}
    (path / "summary.json").write_text(sealed_json(summary))
    shards = path / "evaluation" / key_name(key) / "countdown_3.shards"
    shards.mkdir(parents=True)
    first = pa.Table.from_pandas(
        whole.iloc[:16].assign(text="kept from before"), schema=SCHEMA, preserve_index=False
    )
    write_rows(first, shards / "000000.parquet", key)
    (shards / "000002.parquet").write_bytes(b"PAR1 cut short")

    run(config)
    samples = pd.read_parquet(path / "evaluation" / "countdown_3.parquet")
    assert (samples["text"][:16] == "kept from before").all()
    pd.testing.assert_frame_equal(samples[16:], whole[16:])
    assert not shards.exists()


def test_two_processes_do_not_share_a_run(tmp_path: Path):
    from rlvr.files.run_directory import RunDirectory

    holder = RunDirectory(tiny(tmp_path))
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        run(tiny(tmp_path))
    holder.close()


def test_a_directory_keeps_to_one_config(finished: Path):
    with pytest.raises(UserError, match=r"training.learning_rate=0.001, not 0.002"):
        run(tiny(finished.parents[2], "training.learning_rate=2e-3"))


def test_the_chosen_checkpoint_is_the_best_up_to_the_latest_allowed(finished: Path, tmp_path: Path):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    scores = {0: 0.9, 2: 0.3, 4: 0.5}
    lines = [json.dumps({"step": step, "in_domain/pass@1": score}) + "\n" for step, score in scores.items()]
    (path / "validation.jsonl").write_text("".join(lines))

    assert chosen_step(tiny(tmp_path), path) == 4  # the untrained policy is no choice
    assert chosen_step(tiny(tmp_path, "evaluation.latest_step=3"), path) == 2
    with pytest.raises(UserError, match=r"latest_step=1: the first checkpoint is that of step 2"):
        tiny(tmp_path, "evaluation.latest_step=1")


def test_the_base_policy_is_a_run_of_no_steps(tmp_path: Path):
    config = tiny(tmp_path, "training.steps=0")
    path = run(config)

    assert is_finished(config, path)
    assert json.loads((path / "summary.json").read_text())["checkpoint_step"] == 0


def test_the_words_around_problems_of_a_local_model_are_said(tmp_path: Path, capsys):
    problems = load_problems(tiny(tmp_path, "data=arithmetic", "data.size=8").data, held_out=False)
    for override, said in [("seed=1", 1), ("model.prompts.math.system=null", 0)]:
        config = tiny(tmp_path, "model=local", "model.path=somewhere", override)
        say_what_surrounds(config, [problems, problems])
        lines = " ".join(capsys.readouterr().err.split())
        assert lines.count("before each problem judged by math stands 'Please reason") == said
        assert lines.count(r"\\boxed{}.'; model.prompts.math.system=null takes it out") == said


def test_a_system_message_of_the_data_is_said_to_replace_the_models(tmp_path: Path, capsys):
    asked = load_problems(tiny(tmp_path, "data=arithmetic", "data.size=8").data, held_out=False)[0]
    own = replace(asked, prompt=({"role": "system", "content": "Add."}, *asked.prompt))
    say_what_surrounds(tiny(tmp_path, "model=local", "model.path=somewhere"), [[own]])
    lines = " ".join(capsys.readouterr().err.split())
    assert lines.startswith("problems judged by math that bring a system message keep it: 'Please reason")
    assert "before each problem" not in lines
    say_what_surrounds(tiny(tmp_path), [[own]])  # the embedded model has none
    assert not capsys.readouterr().err


def test_a_full_or_read_only_place_is_one_sentence(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="choose another place with runs="):
        run(tiny(blocked))


def test_a_full_disk_is_one_sentence_whichever_library_met_it(tmp_path: Path):
    for error in (
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ):
        with pytest.raises(UserError, match="what was finished is kept"), user_errors_for(tmp_path):
            raise error
    with pytest.raises(RuntimeError, match="another reason"), user_errors_for(tmp_path):
        raise RuntimeError("another reason")


@pytest.mark.parametrize("overrides", [["algorithm=dapo", "algorithm.dynamic_sampling.enabled=true"]])
def test_dynamic_sampling_refills_and_is_bounded(tmp_path: Path, overrides: list[str]):
    path = run(tiny(tmp_path, "training.steps=1", "training.checkpoint_every=1", *overrides))
    (line,) = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())

    assert 0 < line["curriculum/refills"] <= 3
    assert line["groups/without_signal"] < 0.5


def test_a_run_that_is_out_of_time_goes_on_with_the_same_bits(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Out of time after every step, until the last is done."""
    path = run_directory(tiny(tmp_path))
    for steps_done in (1, 2, 3):
        with monkeypatch.context() as patch:
            checks = iter([False])  # there is time at the start, and none from then on

            def check_time(checks=checks) -> None:
                if next(checks, True):
                    raise OutOfTime

            patch.setattr("rlvr.runs.run.check_time", check_time)
            run(tiny(tmp_path))
        assert latest_checkpoint(path)[0] == steps_done
        assert "status" not in json.loads((path / "summary.json").read_text())

    whole = run(tiny(tmp_path))
    assert deterministic_files(whole) == deterministic_files(finished)
    assert is_finished(tiny(tmp_path), whole)


def test_out_of_time_before_the_start_does_nothing(tmp_path: Path):
    path = run(tiny(tmp_path), Start(deadline=1))
    assert latest_checkpoint(path) is None
