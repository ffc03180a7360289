"""Locks of folders."""

import errno
import fcntl
import os
import socket
from pathlib import Path

import pytest

from rlvr.errors import UserError
from rlvr.files.atomic import hold, write_whole


def test_who_holds_a_folder_is_said_with_its_machine(tmp_path: Path):
    """Several machines share a disk, and each counts its own processes."""
    lock = hold(tmp_path, "is being written", "wait for it")
    with pytest.raises(UserError) as refused:
        hold(tmp_path, "is being written", "wait for it")
    lock.close()
    owner = f"process {os.getpid()} on {socket.gethostname()}"
    assert str(refused.value) == f"{tmp_path} is being written by {owner}: wait for it"


def test_a_disk_without_locks_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As Lustre is where it is not mounted with them."""

    def missing(*_) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(UserError, match="has no file locks"):
        hold(tmp_path, "is being written", "wait for it")
    with pytest.raises(UserError, match="has no file locks"):
        write_whole(tmp_path / "summary.json", "{}")
