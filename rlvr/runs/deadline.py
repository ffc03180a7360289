"""Ending in time: a run with a deadline stops between two steps or shards, with all it has done kept."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rlvr.config import Config
from rlvr.rollout.engine import RolloutEngine
from rlvr.training.distributed.ranks import release


class OutOfTime(Exception):
    """The config's deadline is over."""


def check_time(config: Config) -> None:
    """Raises OutOfTime once the deadline is over."""
    if config.deadline is not None and time.time() >= config.deadline:
        raise OutOfTime


@contextmanager
def closing(engine: RolloutEngine) -> Iterator[None]:
    """Close the engine at the end of the block, also where time is up.

    After any other error it is left as it is: closing takes all ranks, and one of them may be gone.
    """
    out_of_time = None
    try:
        yield
    except OutOfTime as reason:
        out_of_time = reason
    engine.close()
    release()
    if out_of_time:
        raise out_of_time
