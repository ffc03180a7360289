"""Signals that ask a run to stop."""

import signal

import pytest

from rlvr.errors import UserError
from rlvr.runs import deadline
from rlvr.runs.deadline import Stopped, asked_to_stop, closing, stoppable


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


class Engine:
    """Counts how often it is closed, and may fail at that."""

    def __init__(self, error: Exception | None = None):
        self.error, self.closed = error, 0

    def close(self) -> None:
        self.closed += 1
        if self.error:
            raise self.error


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("error", [None, RuntimeError("CUDA error")])
def test_a_run_that_fails_leaves_no_engine_to_the_next_run_of_its_process(
    keep: bool, error: Exception | None
):
    """vLLM has half of the GPU, and two of them can't be in one process."""
    engine = Engine(error)
    with pytest.raises(UserError, match="the gradient was nan"), closing(engine, keep=keep):
        raise UserError("the gradient was nan")
    assert engine.closed == 1


def test_of_several_processes_a_failed_one_closes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(deadline, "world_size", lambda: 2)
    engine = Engine()
    with pytest.raises(UserError), closing(engine):
        raise UserError("the gradient was nan")
    assert engine.closed == 0
