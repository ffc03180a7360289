"""A process that its watchdog ends: `python watchdog_ends.py "two threads"|"lost store"`."""

import sys
import threading
import time

from torch.distributed import DistError, HashStore

from rlvr.training.distributed.watchdog import Watchdog


class Store:
    """A store in which rank 1 has been seen once."""

    def __init__(self) -> None:
        self._store = HashStore()
        self._store.set("rank 1", "7|taking part")

    def __getattr__(self, name: str):
        return getattr(self._store, name)


class SlowStore(Store):
    """It has counted the first call half a second before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = threading.Event()

    def add(self, key: str, amount: int) -> int:
        count = self._store.add(key, amount)
        if count == 1:
            self.counted.set()
            time.sleep(0.5)
        return count


class LostStore(Store):
    """It takes the first heartbeat, and is gone."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = False

    def set(self, key: str, value: str) -> None:
        self._fail_if_lost()
        self._store.set(key, value)
        self._lost = True

    def add(self, key: str, amount: int) -> int:
        self._fail_if_lost()
        return self._store.add(key, amount)

    def _fail_if_lost(self) -> None:
        if self._lost:
            raise DistError("Broken pipe")


if __name__ == "__main__":
    if sys.argv[1] == "lost store":
        Watchdog(LostStore(), rank=0, ranks=2)
        time.sleep(60)
    else:
        watchdog = Watchdog(store := SlowStore(), rank=0, ranks=2)
        threading.Thread(target=watchdog._end, args=("rank 1 is gone",)).start()
        store.counted.wait()
        watchdog._end("rank 1 is gone")
