"""A model of the hub, in a cache as its client leaves one: which commit it was is known, and held against."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_runs

from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.files.run_directory import read_provenance
from rlvr.policy.location import EMBEDDED, fetch
from rlvr.runs.run import run

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of one model, with two commits, of which the first is on the main branch."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "models--their--policy"
    for commit in (FIRST, SECOND):
        shutil.copytree(EMBEDDED, folder / "snapshots" / commit)
    config = folder / "snapshots" / SECOND / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"note": "the second"}))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(FIRST)
    return folder


def theirs(folder: Path, *overrides: str) -> Config:
    given = ("model.path=their/policy", "training.steps=1", "evaluation.after_training=false")
    return tiny_runs.tiny(folder / "runs", *given, *overrides)


def test_a_run_keeps_to_the_commit_that_it_was_trained_from(cache: Path, tmp_path: Path):
    path = run(theirs(tmp_path))
    assert read_provenance(path)["contents"]["their/policy"] == FIRST
    run(theirs(tmp_path))
    (cache / "refs" / "main").write_text(SECOND)
    said = f"their/policy is not what .* trained with so far: its fingerprint is {SECOND}, and was {FIRST}"
    for lost in (None, "summary.json"):  # trained, and broken off
        if lost:
            (path / lost).unlink()
        with pytest.raises(UserError, match=said):
            run(theirs(tmp_path))


def test_a_revision_is_the_one_that_is_loaded(cache: Path, tmp_path: Path):
    assert fetch(theirs(tmp_path).model).name == FIRST
    pinned = theirs(tmp_path, f"model.revision={SECOND}", "arm=pinned")
    assert fetch(pinned.model).name == SECOND
    assert read_provenance(run(pinned))["contents"]["their/policy"] == SECOND
    unknown = theirs(tmp_path, "model.revision=v9", "arm=unknown")
    with pytest.raises(UserError, match=r"no policy at .*`hf download their/policy --revision v9`"):
        run(unknown)
