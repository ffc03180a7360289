"""How files get on disk whole: written aside and renamed, under a lock, errors of a disk as sentences."""

import errno
import fcntl
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, TextIO

from safetensors import SafetensorError

from rlvr.errors import UserError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file aside, then rename it: a reader sees the old file or the new one, never a part.

    Of several writers each waits for the one before, and the last one's content stays.
    """
    with user_errors_for(path):
        make_folder(path.parent)
        with locked(path.with_name(f".{path.name}.partial")) as aside:
            aside.truncate(0)
            aside.write(content.encode() if isinstance(content, str) else content)
            aside.flush()
            os.replace(aside.name, path)


def place_folder(aside: Path, folder: Path) -> None:
    """Give a folder that is whole its name; where another process was first, the one aside is removed."""
    if folder.exists():
        shutil.rmtree(aside)
    else:
        os.replace(aside, folder)


def make_folder(folder: Path, key: str = "runs") -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        UserError: where none can be made: something else is there, or no folder may be (in /proc).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        raise UserError(
            f"{folder} can't be made a folder ({error.strerror}): choose another place with {key}="
        ) from error


def locked(file: Path) -> BinaryIO:
    """A file open for writing, there or new, that no other process has; free when it is closed."""
    while True:
        try:
            opened = open(file, "ab")  # noqa: SIM115 (the caller closes it)
        except FileNotFoundError as error:  # in a folder that is there
            raise UserError(f"{file.parent} takes no files: choose another place") from error
        fcntl.flock(opened, fcntl.LOCK_EX)
        if still_holds(opened):
            return opened
        opened.close()  # who had it has renamed it meanwhile


# where other packages keep what they download, and the place they have by default
CACHES = {
    "HF_DATASETS_CACHE": "~/.cache/huggingface/datasets",
    "HF_HOME": "~/.cache/huggingface",
    "XDG_CACHE_HOME": "~/.cache",
}


@contextmanager
def user_errors_for(path: Path) -> Iterator[None]:
    """Say in a sentence that a disk is full or has no locks, or a folder can't be written."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        number = getattr(error, "errno", None)
        # torch and safetensors wrap the system's error in one of their own
        if number == errno.EISDIR:
            place = error.filename2 or error.filename or path
            raise UserError(f"{place} is a folder, not a file: remove it, and start again") from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise UserError(unwritable(path, error)) from error
        if number == errno.EFBIG or "File too large" in str(error):
            raise UserError(
                f"{path}: a file may not become as large as is needed (ulimit -f): raise that limit and "
                "start again; what was finished is kept"
            ) from error
        if number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise UserError(
                f"the disk of {path} has no file locks ({os.strerror(number)}), which keep two processes out "
                "of one folder: have it mounted with them (Lustre: -o flock), or choose another place with "
                "runs="
            ) from error
        full = number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        if full or (number is None and free_bytes(path) < 2**20):
            raise UserError(
                f"no space left on the disk of {path}: free some and start again; what was finished is kept"
            ) from error
        raise


def unwritable(path: Path, error: OSError | RuntimeError | SafetensorError) -> str:
    """The sentence for what the system does not allow: the file it names, which may be none of `path`'s."""
    reason = os.strerror(getattr(error, "errno", None) or errno.EACCES)
    named = getattr(error, "filename", None)
    file = Path(os.fsdecode(named)).absolute() if isinstance(named, str | bytes) else path.absolute()
    own = path.absolute()
    if file.is_relative_to(own) or own.is_relative_to(file) or file.parent == own.parent:
        return f"{path} can't be written ({reason}): make it writable, or choose another place with runs="
    for variable, usual in CACHES.items():
        folder = Path(os.environ.get(variable) or usual).expanduser().absolute()
        if file.is_relative_to(folder):
            return (
                f"{file} can't be used ({reason}): make {folder} readable and writable, or choose another "
                f"place with {variable}="
            )
    return f"{file} can't be used ({reason}): make it readable and writable"


def free_bytes(path: Path) -> int:
    """What is left of the disk where `path` is or would be."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


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


def still_holds(lock: IO) -> bool:
    """Whether the file that `hold` locked is still in its folder; else another process may lock it."""
    try:
        there, held = os.stat(lock.name), os.fstat(lock.fileno())
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def hold(folder: Path, what: str, advice: str) -> TextIO:
    """Lock a folder for this process until the file returned is closed, or the process is gone.

    Raises:
        UserError: where another process has it: "<folder> <what> by process <id> on <host>: <advice>".
    """
    with user_errors_for(folder):
        make_folder(folder)
        if (folder / "lock").exists() and not (folder / "lock").is_file():
            raise UserError(f"{folder}/lock is no file: remove it")
        lock = open(folder / "lock", "a+")  # noqa: SIM115 (the caller holds it)
    try:
        with user_errors_for(folder):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "of another user"
        raise UserError(f"{folder} {what} by process {owner}: {advice}") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()} on {socket.gethostname()}")  # of several machines with one disk
    lock.flush()
    return lock
