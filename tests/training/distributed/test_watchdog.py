"""Heartbeats between ranks, with a store and a clock of the test's."""

from collections.abc import Sequence

import pytest

from rlvr.training.distributed import watchdog
from rlvr.training.distributed.watchdog import SILENCE_SECONDS, Watchdog


class Store:
    """Where rank 1 has said one thing and is silent since."""

    def __init__(self) -> None:
        self.said = {"rank 1": b"7|update"}

    def set(self, key: str, value: str) -> None:
        self.said[key] = value.encode()

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        return [self.said[key] for key in keys]

    def add(self, key: str, number: int) -> int:
        return number


@pytest.mark.parametrize(("seconds", "ended"), [([30.0], False), ([1.0] * 25, True)])
def test_ranks_that_were_stopped_together_go_on(
    seconds: list[float], ended: bool, monkeypatch: pytest.MonkeyPatch
):
    """As by a scheduler that suspends a job: the first to wake hears nothing new from the others yet."""
    clock, left, ends = [0.0], list(seconds), []
    monkeypatch.setattr(watchdog.time, "monotonic", lambda: clock[0])

    def told_to_end(self: Watchdog) -> bool:
        if left:
            clock[0] += left.pop(0)
        else:
            self._closed.set()
        return False

    monkeypatch.setattr(Watchdog, "_told_to_end", told_to_end)
    monkeypatch.setattr(Watchdog, "_end", lambda _, sentence: ends.append(sentence))
    assert sum(seconds) > SILENCE_SECONDS
    watching = Watchdog(Store(), 0, 2)
    watching._thread.join()
    watching.close()
    assert bool(ends) == ended
