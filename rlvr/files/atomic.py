"""How files get on disk whole: written aside and renamed, under a lock, errors of a disk as sentences."""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from safetensors import SafetensorError

from rlvr.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file aside, then rename it: a reader sees the old file or the new one, never a part."""
    aside = path.with_name(f".{path.name}.partial")
    with user_errors_for(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(aside, path)


@contextmanager
def user_errors_for(path: Path) -> Iterator[None]:
    """Say in a sentence that a disk is full or a folder can't be written."""
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        # torch and safetensors wrap the system's error in one of their own
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error) or disk_is_full(path):
            raise UserError(
                f"no space left on the disk of {path}: free some and start again; what was finished is kept"
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise UserError(
                f"{path} can't be written ({os.strerror(number)}): make it writable, or choose another "
                "place with runs="
            ) from error
        raise


def disk_is_full(path: Path) -> bool:
    """Less than a megabyte is left where `path` is or would be."""
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), Path())
    return shutil.disk_usage(existing).free < 2**20


def file_digest(file: Path) -> str:
    """32 hexadecimal digits of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def flush_to_disk(path: Path) -> None:
    """Have the content of a file, or the names in a folder, on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def still_holds(lock: TextIO) -> bool:
    """Whether the file that `hold` locked is still in its folder; else another process may lock it."""
    try:
        there, held = os.stat(lock.name), os.fstat(lock.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def hold(folder: Path, what: str, advice: str) -> TextIO:
    """Lock a folder for this process until the file returned is closed, or the process is gone.

    Raises:
        UserError: where another process has it: "<folder> <what> by process <id>: <advice>".
    """
    with user_errors_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a+")  # noqa: SIM115 (the caller holds it)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "of another user"
        raise UserError(f"{folder} {what} by process {owner}: {advice}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
