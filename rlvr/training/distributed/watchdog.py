"""Heartbeats between ranks: when a process dies the others exit, and say which it was and at what stage.

Every rank has a thread that writes a heartbeat and its stage to the rendezvous store, and reads the others'.
It runs while the main thread waits in a collective, so it sees what the collective cannot say: a rank that
died, that was stopped, or whose machine is gone. It does not see a rank that is alive and makes no progress.
"""

import os
import signal
import socket
import sys
import threading
import time

from torch.distributed import DistError, Store

HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 20.0  # without a heartbeat: the rank is gone
FAILURE_SILENCE_SECONDS = 4.0  # the same, once a collective has failed or torchrun ends this process


def _ends_nothing(*_: object) -> None:
    """In the place of the handler that would end the process: the thread decides."""


class Watchdog:
    """Ends this process when another rank is gone or has failed.

    SIGTERM ends it too, unless it has been given another handler since and no rank is gone: then the whole
    job was asked to end, which that handler sees to.

    Args:
        store: a connection of its own to the rendezvous store.
    """

    def __init__(self, store: Store, rank: int, ranks: int):
        self._stage = "starting"
        self._store, self._rank = store, rank
        self._others = [other for other in range(ranks) if other != rank]
        self._heartbeat = 0
        self._leaving = False  # True: this rank sends no more heartbeats
        self._write_lock = threading.Lock()
        self._end_lock = threading.Lock()  # never given back: the process ends
        self._write()
        # torchrun ends the survivors of a rank that died; the thread, not the blocked main thread, hears it
        self._woken, wake = socket.socketpair()
        wake.setblocking(False)
        self._wake = wake
        self._handler_before = signal.signal(signal.SIGTERM, _ends_nothing)
        self._fd_before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._closed = threading.Event()
        self._thread.start()

    @property
    def stage(self) -> str:
        """What this rank is doing; setting it tells the others."""
        return self._stage

    @stage.setter
    def stage(self, stage: str) -> None:
        self._stage = stage
        self._write()

    def failed(self, sentence: str) -> None:
        """Tell the others that this rank exits with an error, which it prints itself."""
        self._leave(f"failed|{self.stage}|{sentence}")

    def explain(self) -> None:
        """After a failed collective: if another rank is gone, print which and exit; return otherwise."""
        if sentence := self._who_is_gone():
            self._end(sentence)

    def close(self) -> None:
        """Stop watching; the others take this rank for done."""
        self._closed.set()
        self._wake.send(b"\0")
        self._thread.join()
        self._leave("done")
        signal.set_wakeup_fd(self._fd_before)
        signal.signal(signal.SIGTERM, self._handler_before)

    def _watch(self) -> None:
        self._woken.settimeout(HEARTBEAT_SECONDS)
        looked = time.monotonic()
        heard = {other: ("", looked) for other in self._others}
        try:
            while not self._closed.is_set():
                if self._told_to_end():
                    handled = signal.getsignal(signal.SIGTERM) is not _ends_nothing
                    gone = self._who_is_gone(leaving=not handled)
                    if gone or not handled:
                        self._end(gone or "")
                self._heartbeat += 1
                self._write()
                now = time.monotonic()
                if now - looked > SILENCE_SECONDS / 2:  # this process was stopped, and may be all were
                    heard = {other: (said, now) for other, (said, _) in heard.items()}
                looked = now
                for other, said in self._read().items():
                    if said != heard[other][0]:
                        heard[other] = said, now
                    if said.startswith("failed"):
                        self._end(describe_failure(other, said))
                    if said != "done" and now - heard[other][1] > SILENCE_SECONDS:
                        self._end(describe_silence(other, said))
        except (DistError, RuntimeError) as error:
            if not (self._closed.is_set() or self._leaving):
                self._end(f"rank {self._rank} has lost the rendezvous store: {error}")

    def _told_to_end(self) -> bool:
        """Wait for one heartbeat interval; whether SIGTERM came meanwhile."""
        try:
            return signal.SIGTERM in self._woken.recv(64)
        except TimeoutError:
            return False

    def _who_is_gone(self, *, leaving: bool = True) -> str | None:
        """A sentence on a rank that neither sends heartbeats nor says that it exits; None if all do."""
        if leaving:
            self._leave(f"ending|{self.stage}")
        first = self._read()
        deadline = time.monotonic() + FAILURE_SILENCE_SECONDS
        silent = set(self._others)
        while silent and time.monotonic() < deadline:
            time.sleep(HEARTBEAT_SECONDS / 5)
            self._heartbeat += 1
            self._write()
            for other, said in self._read().items():
                if said.startswith("failed"):
                    return describe_failure(other, said)
                if said != first[other] or said.startswith(("ending", "done")):
                    silent.discard(other)
        return describe_silence(min(silent), first[min(silent)]) if silent else None

    def _end(self, sentence: str) -> None:
        with self._end_lock:  # one thread ends the process, so that none cuts another's sentence off
            if sentence and self._is_first_to_speak():
                print(f"rlvr: {sentence}", file=sys.stderr, flush=True)
            os._exit(1)

    def _is_first_to_speak(self) -> bool:
        try:
            return self._store.add("said", 1) == 1
        except (DistError, RuntimeError):  # the store is lost: each says so for itself
            return True

    def _write(self) -> None:
        with self._write_lock:
            if not self._leaving:
                self._store.set(f"rank {self._rank}", f"{self._heartbeat}|{self._stage}")

    def _leave(self, state: str) -> None:
        with self._write_lock:
            self._leaving = True
            self._store.set(f"rank {self._rank}", state)

    def _read(self) -> dict[int, str]:
        values = self._store.multi_get([f"rank {other}" for other in self._others])
        return {other: value.decode() for other, value in zip(self._others, values, strict=True)}


def describe_failure(other: int, said: str) -> str:
    _, stage, sentence = said.split("|", 2)
    return f"rank {other} failed at {stage!r} ({sentence}): the run ends; the same command goes on from there"


def describe_silence(other: int, said: str) -> str:
    stage = said.partition("|")[2]
    return f"rank {other} is gone, it was at {stage!r}: the run ends; the same command goes on from there"
