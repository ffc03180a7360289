"""Files of a run that are damaged or lost: said in a sentence, or made again with the same bits."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import tiny_runs
import torch
from safetensors.torch import load_file, save_file

from rlvr.config import Config, config_from_yaml, run_directory
from rlvr.curriculum import build_curriculum
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.run_directory import RunDirectory, read_provenance, read_summary
from rlvr.policy.policy import Policy
from rlvr.problems import load_problems
from rlvr.runs.run import run
from rlvr.training.checkpoint import (
    checkpoint_path,
    checkpoints,
    damage_of,
    latest_checkpoint,
    load_state,
    save_checkpoint,
    seal,
)
from rlvr.training.learner import Learner
from rlvr.training.methods import Methods

SETTINGS = ("training.steps=4", "training.checkpoint_every=2")


def tiny(folder: Path, *overrides: str) -> Config:
    return tiny_runs.tiny(folder, *SETTINGS, *overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("runs")))


def copy_of(finished: Path, folder: Path) -> Path:
    path = run_directory(tiny(folder))
    shutil.copytree(finished, path)
    return path


def flip_a_bit(file: Path, place: int = -20) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def lose_a_line(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:1], *lines[2:]]))


def double_the_last(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content + content.splitlines(keepends=True)[-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


HARMS = [flip_a_bit, lose_a_line, double_the_last, empty, Path.unlink]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["metrics.jsonl", "validation.jsonl"])
def test_a_log_that_is_not_as_the_summary_says_is_named(finished: Path, tmp_path: Path, harm, name: str):
    path = copy_of(finished, tmp_path)
    harm(path / name)
    with pytest.raises(UserError, match=rf"{name} (has \d lines, not|is missing|does not have the digest)"):
        run(tiny(tmp_path))


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["metrics.jsonl", "accuracy.jsonl"])
def test_lines_that_a_checkpoint_claims_and_that_are_lost_are_made_again(
    finished: Path, tmp_path: Path, harm, name: str, capsys: pytest.CaptureFixture
):
    """As after a power cut that kept the checkpoint: the run goes back to one whose lines are all there."""
    path = copy_of(finished, tmp_path)
    (path / "summary.json").unlink()
    harm(path / name)
    run(tiny(tmp_path))
    for same in ("metrics.jsonl", "accuracy.jsonl", "validation.jsonl", "rollouts.jsonl"):
        assert (path / same).read_bytes() == (finished / same).read_bytes()
    assert read_summary(path)["tokens"] == read_summary(finished)["tokens"]
    if harm is not double_the_last:  # which only adds to what was claimed
        assert "can't be gone on from" in capsys.readouterr().err


def test_lines_are_on_disk_before_a_checkpoint_claims_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[tuple[int, bool]] = []
    checkpoint = checkpoint_path(run_directory(tiny(tmp_path)), 4)
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, checkpoint.exists()))

    monkeypatch.setattr(os, "fsync", record)
    path = run(tiny(tmp_path))
    for file in (path / "metrics.jsonl", checkpoint / "model.safetensors", checkpoint / "manifest.json"):
        assert (file.stat().st_ino, False) in synced


def test_a_checkpoint_is_not_written_over_the_lines_of_two_processes(policy: Policy, tmp_path: Path):
    config = tiny(tmp_path)
    curriculum = build_curriculum(config, load_problems(config.data, held_out=False))
    for step in (1, 2, 2):
        step_lines.append(tmp_path / "metrics.jsonl", step, {})
    with pytest.raises(UserError, match=r"3 lines, of the steps \[1, 2, 2\]"):
        save_checkpoint(tmp_path, 2, policy, Learner(policy, config), curriculum, Methods(config))
    assert checkpoints(tmp_path) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_never_a_checkpoint(policy: Policy, tmp_path: Path, value: float):
    config = tiny(tmp_path)
    curriculum = build_curriculum(config, load_problems(config.data, held_out=False))
    learner = Learner(policy, config)
    save_checkpoint(tmp_path, 0, policy, learner, curriculum, Methods(config))
    name, weights = next(iter(policy.model.named_parameters()))
    learner.optimizer.state[weights] = {"exp_avg": torch.full_like(weights, value)}
    assert learner.not_finite() == f"exp_avg of {name}"
    learner.optimizer.state.clear()
    with torch.no_grad():
        weights.view(-1)[-1] = value
    step_lines.append(tmp_path / "metrics.jsonl", 1, {})
    with pytest.raises(UserError, match=rf"{name} has NaN or infinity in it after step 1"):
        save_checkpoint(tmp_path, 1, policy, learner, curriculum, Methods(config))
    assert latest_checkpoint(tmp_path)[0] == 0
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000"]


def test_a_checkpoint_of_nan_that_was_written_before_is_not_gone_on_from(finished: Path, tmp_path: Path):
    path = copy_of(finished, tmp_path)
    target = checkpoint_path(path, 4)
    weights = load_file(target / "model.safetensors")
    weights[min(weights)].view(-1)[0] = float("nan")
    aside = target.with_name("aside")
    shutil.copytree(target, aside)
    save_file(weights, aside / "model.safetensors", metadata={"format": "pt"})
    (aside / "manifest.json").unlink()
    seal(aside, target, 4)
    assert "NaN" in damage_of(target)
    assert latest_checkpoint(path)[0] == 2


def test_folders_with_other_names_are_no_checkpoints(finished: Path, tmp_path: Path):
    path = copy_of(finished, tmp_path)
    folder = path / "checkpoints"
    for name in ("step-000002.bak", "step-000004 (copy)", "step-", "step-x", "step-000009"):
        shutil.copytree(folder / "step-000002", folder / name)
    assert damage_of(folder / "step-000009") == "it is that of step 2"
    assert latest_checkpoint(path)[0] == 4
    (path / "summary.json").unlink()
    run(tiny(tmp_path))
    assert (path / "metrics.jsonl").read_bytes() == (finished / "metrics.jsonl").read_bytes()
    assert (folder / "step-000002.bak").exists()


@pytest.mark.parametrize(
    "content", ["", "{}", "null", "[]", "3", '{"blake2b": 1}', '{"step": 4, "bla', "\0\0"]
)
def test_a_manifest_that_is_none_is_damage(finished: Path, tmp_path: Path, content: str):
    path = copy_of(finished, tmp_path)
    (checkpoint_path(path, 4) / "manifest.json").write_text(content)
    assert damage_of(checkpoint_path(path, 4)) == "its manifest can't be read"
    assert latest_checkpoint(path)[0] == 2


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"step": "4"}, "its manifest can't be read"),
        ({"logs": {"metrics": 7}}, "its manifest can't be read"),
        ({"logs": None}, "its manifest can't be read"),
        ({"finite": "yes"}, "its manifest can't be read"),
        ({"blake2b": {"../../config.yaml": "0"}}, "its manifest can't be read"),
        ({"blake2b": {"/etc/hostname": "0"}}, "its manifest can't be read"),
        ({"blake2b": {}}, "its manifest does not name model.safetensors"),
    ],
)
def test_a_manifest_that_says_what_none_says_is_damage(
    finished: Path, tmp_path: Path, entries: dict, said: str
):
    folder = checkpoint_path(copy_of(finished, tmp_path), 4)
    whole = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(whole | entries))
    assert damage_of(folder) == said


def test_a_checkpoint_of_another_run_is_not_evaluated(finished: Path, tmp_path: Path):
    path = copy_of(finished, tmp_path)
    lines = (path / "metrics.jsonl").read_text().replace("0.", "1.", 1)
    assert damage_of(checkpoint_path(path, 4)) is None
    (path / "metrics.jsonl").write_text(lines)  # as another run's checkpoint would find it
    assert damage_of(checkpoint_path(path, 4)) == "metrics.jsonl does not have the lines it had"


class Code:
    def __reduce__(self):
        return os._exit, (3,)


@pytest.mark.parametrize("content", [pickle.dumps(Code()), b"", b"x" * 99])
def test_a_state_that_is_code_is_not_run_whatever_its_digest(finished: Path, tmp_path: Path, content: bytes):
    path = copy_of(finished, tmp_path)
    folder = checkpoint_path(path, 4)
    (folder / "trainer.pt").write_bytes(content)
    (folder / "manifest.json").unlink()
    seal(folder, folder.with_name("aside"), 4)
    with pytest.raises(UserError, match=r"trainer\.pt is no state that rlvr wrote \(.*\): it is not read"):
        load_state(folder.with_name("aside"))


@pytest.mark.parametrize("content", [b"", b'{"seed": 1', b"null", b"[]", b"\0\0\0", b"\xff\xfe"])
@pytest.mark.parametrize(("name", "read"), [("summary", read_summary), ("provenance", read_provenance)])
def test_a_damaged_json_file_is_a_sentence(tmp_path: Path, name: str, read, content: bytes):
    (tmp_path / f"{name}.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}.json is damaged .*: restore it"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["summary", "provenance"])
def test_an_entry_that_changed_is_a_sentence(finished: Path, tmp_path: Path, name: str):
    """A flipped bit may leave good JSON with another number in it."""
    content = json.loads((finished / f"{name}.json").read_text())
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    read = {"summary": read_summary, "provenance": read_provenance}[name]
    assert read(tmp_path) == {key: value for key, value in content.items() if key != "blake2b"}
    (tmp_path / f"{name}.json").write_text(json.dumps(content | {"seed": content["seed"] + 1}))
    with pytest.raises(UserError, match=rf"{name}.json is damaged \(its entries are not those that were wr"):
        read(tmp_path)


@pytest.mark.parametrize(
    "line", [b"\0\0\0\n", b"3\n", b"null\n", b'{"a": 1}\n', b'{"step": 1, \n', b"\xff\n"]
)
def test_a_damaged_line_is_a_sentence(tmp_path: Path, line: bytes):
    file = tmp_path / "metrics.jsonl"
    step_lines.append(file, 1, {})
    file.write_bytes(file.read_bytes() + line + b'{"step": 3, "half')
    with pytest.raises(UserError, match=r"line 2 of .*metrics.jsonl is damaged"):
        step_lines.read(file)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.98])
def test_half_a_config_is_a_sentence(finished: Path, tmp_path: Path, kept: float):
    path = copy_of(finished, tmp_path)
    text = (path / "config.yaml").read_text()
    (path / "config.yaml").write_text(text[: int(kept * len(text))])
    said = r"config.yaml (is no whole config of a run: it lacks \w+|can't be read)"
    with pytest.raises(UserError, match=said):
        run(tiny(tmp_path))


def test_a_config_with_a_zero_byte_is_a_sentence(finished: Path, tmp_path: Path):
    path = copy_of(finished, tmp_path)
    (path / "config.yaml").write_text("\0" + (path / "config.yaml").read_text())
    with pytest.raises(UserError, match=r"config.yaml can't be read as a config"):
        run(tiny(tmp_path))


def test_a_strangers_config_looks_nothing_up(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_KEY", "a secret")
    path = copy_of(finished, tmp_path)
    text = (path / "config.yaml").read_text()
    (path / "config.yaml").write_text(text.replace("experiment: adhoc", "experiment: ${oc.env:SOME_KEY}"))
    with pytest.raises(UserError, match=r"config.yaml: experiment holds an interpolation") as said:
        config_from_yaml(path / "config.yaml")
    assert "secret" not in str(said.value)


def test_a_lock_that_was_removed_is_noticed(tmp_path: Path):
    """And one that another process has made since."""
    first = RunDirectory(tiny(tmp_path))
    first.report("training", 1, 4)
    (first.path / "lock").unlink()
    second = RunDirectory(tiny(tmp_path))
    for directory in (first, second):
        if directory is first:
            with pytest.raises(UserError, match="lock was removed while process"):
                directory.report("training", 2, 4)
        else:
            directory.report("training", 2, 4)
        directory.close()
    assert json.loads((first.path / "progress.json").read_text())["done"] == 2
