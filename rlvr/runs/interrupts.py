"""Ctrl-C, SIGTERM and SIGUSR1 alike, for a process whose children do the work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """What a scheduler sends ends this process as Ctrl-C does, and so the processes of its runs too, which
    would go on without it."""

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
