"""What a run says of the code that it ran."""

import subprocess
from pathlib import Path

import pytest

from rlvr.files import run_directory
from rlvr.files.run_directory import git_state


def test_a_rendered_table_is_no_change_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("rlvr/code.py", "results/table.md", "experiments/results/x.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    monkeypatch.setattr(run_directory, "PACKAGE", tmp_path / "rlvr")
    found = []
    for name in ("results/table.md", "experiments/results/x.yaml", "rlvr/code.py"):
        found.append(git_state()["dirty"])
        (tmp_path / name).write_text("2")
    assert found == [False, False, True]
    assert git_state()["dirty"]


def test_the_commit_of_a_project_that_rlvr_is_installed_in_is_not_rlvrs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (package := tmp_path / ".venv" / "rlvr").mkdir(parents=True)
    (package / "code.py").write_text("1")
    (tmp_path / ".gitignore").write_text(".venv")
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-q", "-m", "mine"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    monkeypatch.setattr(run_directory, "PACKAGE", package)
    assert git_state() == {}
