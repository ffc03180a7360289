"""Signals that ask a run to stop."""

import signal

import pytest

from rlvr.runs import deadline
from rlvr.runs.deadline import Stopped, asked_to_stop, stoppable


def test_a_signal_that_comes_while_processes_compare_is_seen_at_the_next_look(monkeypatch):
    """The look that it interrupts ends as on all other ranks, which have not seen it."""

    def interrupted(value: int | None) -> list[int | None]:
        signal.raise_signal(signal.SIGTERM)
        return [value]

    with pytest.raises(Stopped), stoppable(None):
        monkeypatch.setattr(deadline, "gather", interrupted)
        assert asked_to_stop() is None
        monkeypatch.setattr(deadline, "gather", lambda value: [value])
        assert asked_to_stop() == signal.SIGTERM
