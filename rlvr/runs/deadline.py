"""Ending in time: at a deadline, or when a signal asks for it, a run stops between two steps or shards.

All it has done is kept, with a checkpoint of its last step. SIGTERM and SIGUSR1 ask (what a scheduler sends
before it takes a machine away), and SIGUSR2 where a launcher listens to it; what these were handled by before
is called once the run is safe, so that submitit can requeue it. With several processes it is enough that one
of them is asked, or the process that started torchrun, which has no signals to pass on: it leaves a file.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Protocol

from rlvr.errors import UserError, say
from rlvr.training.distributed.ranks import gather, on_every_rank, rank, release, world_size

STOP_FILE = "RLVR_STOP_FILE"  # the variable that names a file with the number of a signal
EXIT_STATUS = 75  # EX_TEMPFAIL: nothing is wrong, the same command goes on


class Closes(Protocol):
    def close(self) -> None: ...


_deadline: float | None = None
_asked: int | None = None  # the signal that asked this process to stop


class OutOfTime(Exception):
    """The deadline is over, or a signal has asked for the end."""


class Stopped(SystemExit):
    """Ends the process with EXIT_STATUS: a signal has asked for it, and the run can go on."""

    def __init__(self) -> None:
        super().__init__(EXIT_STATUS)


def check_time() -> None:
    """Raises OutOfTime where the run is to stop."""
    if asked_to_stop() or (_deadline is not None and time.time() >= _deadline):
        raise OutOfTime


@on_every_rank("looking for signals")
def asked_to_stop() -> int | None:
    """The signal that any of the processes was asked to stop by; all know it from then on."""
    global _asked
    found = next(filter(None, gather(_asked or _asked_by_file())), None)
    # never back to None: a signal that came while this process waited for the others is for the next look
    _asked = found or _asked
    return found


def _asked_by_file() -> int | None:
    try:
        return int(Path(os.environ[STOP_FILE]).read_text())
    except (KeyError, FileNotFoundError):
        return None


@contextmanager
def stoppable(deadline: float | None) -> Iterator[None]:
    """In the block, `check_time` knows a deadline and the signals that came.

    After the block, where a signal came, the handler that was there before is called, and then the process
    ends with `Stopped`; one of several processes goes on to its end, so that torchrun sees no failure.
    """
    global _deadline, _asked
    _deadline, _asked = deadline, None
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            if number != signal.SIGUSR2 or callable(signal.getsignal(number)):
                before[number] = signal.signal(number, _note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _deadline = None
    if _asked is not None:
        asked, _asked = _asked, None
        if rank() == 0:
            say(f"stopped by {signal.Signals(asked).name}; the same command goes on from there")
        if callable(handler := before.get(asked)):
            handler(asked, None)
        if world_size() == 1:
            raise Stopped


def _note(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = number


@contextmanager
def closing(engine: Closes, *, keep: bool = False) -> Iterator[None]:
    """Close an engine, or what has one, at the end of the block, also where time is up.

    After a UserError too, since this process may go on with a sweep's next run, for which there is no room
    beside an engine; but not with several processes: closing takes all ranks, and one of them may be gone.

    Args:
        keep: leave it open for what comes after the block, unless time is up.
    """
    out_of_time = None
    try:
        yield
    except OutOfTime as reason:
        out_of_time = reason
    except UserError:  # any other may have left the engine in no state to be closed
        if world_size() == 1:
            with suppress(RuntimeError):  # CUDA's; what is said is the first error
                engine.close()
            release()
        raise
    if keep and not out_of_time:
        release(engine)
        return
    engine.close()
    release()
    if out_of_time:
        raise out_of_time
