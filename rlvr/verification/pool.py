"""Comparisons that may hang, crash or eat all memory, in processes that can be killed one by one."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from rlvr.data import Verdict
from rlvr.verification.mathematics import screen

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # a cold file system under load; a warm start takes about two seconds
CHUNK = 8  # comparisons a message: fewer wake-ups of the parent, and still a fair share for each worker

Pair = tuple[str, str]


class VerifierPool:
    r"""Judges completions against references, in order, with a deadline for each.

        with VerifierPool(workers=2) as pool:
            pending = pool.submit([("42", r"... \boxed{42}"), ...])  # returns at once
            ...                                                     # generate the next batch
            verdicts = pending.result()

    What needs no parser is settled in the calling thread (`mathematics.screen`); the rest goes to
    `workers` processes, equal comparisons of one call once. A comparison that takes longer than
    `deadline_seconds`, counted from when its worker begins it, is a TIMEOUT: that worker is killed
    and replaced while the others go on. One that raises, or dies (each process may hold
    `memory_bytes` of address space), is an ERROR.

    Attributes:
        counts: verdicts given so far, by kind.
        replaced: processes that had to be killed or died.
    """

    def __init__(
        self,
        workers: int = 2,
        deadline_seconds: float = 5.0,
        memory_bytes: int = 1 << 30,
        *,
        function: str = "rlvr.verification.equivalence:compare",
    ) -> None:
        self.counts: Counter[Verdict] = Counter()
        pipes = [Pipe() for _ in range(workers)]
        descriptors = [theirs.fileno() for _, theirs in pipes]
        arguments = [function, memory_bytes, math.ceil(2 * deadline_seconds) + 1, *descriptors]
        # A process of its own rather than multiprocessing's: it imports neither the caller's main module nor
        # torch, and in a session of its own an interrupt at the keyboard reaches only the caller.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rlvr.verification.worker", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        for _, theirs in pipes:
            theirs.close()
        self._workers = [_Worker(ours, deadline_seconds) for ours, _ in pipes]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="verifier")

    def submit(self, pairs: Sequence[Pair]) -> "Pending":
        """Begin to judge (reference, completion text) pairs."""
        return self._begin([screen(reference, text) for reference, text in pairs])

    def verify(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Verdicts on (reference, completion text) pairs, in their order."""
        return self.submit(pairs).result()

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Verdicts on (reference, answer) pairs in normal form, all of them by the workers."""
        return self._begin(list(pairs)).result()

    @property
    def replaced(self) -> int:
        return sum(worker.replaced for worker in self._workers)

    def _begin(self, screened: list[Verdict | Pair]) -> "Pending":
        distinct = iter(dict.fromkeys(item for item in screened if not isinstance(item, Verdict)))
        chunks = []
        while chunk := list(islice(distinct, CHUNK)):
            chunks.append((chunk, self._threads.submit(self._judge, chunk)))
        return Pending(screened, chunks, self.counts)

    def _judge(self, chunk: list[Pair]) -> list[Verdict]:
        worker = self._idle.get()
        try:
            return worker.judge(chunk)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End all processes at once, whatever they are doing. Verdicts not yet given are lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._threads.shutdown(wait=True)  # their connections have ended, so they have too
        for worker in self._workers:
            worker.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True)
class Pending:
    """Verdicts on their way."""

    _screened: list[Verdict | Pair]
    _chunks: list[tuple[list[Pair], Future[list[Verdict]]]]
    _counts: Counter[Verdict]
    _verdicts: list[Verdict] | None = None

    def done(self) -> bool:
        """Would `result` return at once?"""
        return all(verdicts.done() for _, verdicts in self._chunks)

    def result(self) -> list[Verdict]:
        """The verdicts in the order of the pairs; waits for them.

        Raises RuntimeError if the processes could not be started or kept, or the pool was closed.
        """
        if self._verdicts is None:
            compared: dict[Pair, Verdict] = {}
            try:
                for chunk, verdicts in self._chunks:
                    # Not one long wait: Python can miss an interrupt that comes as a wait begins.
                    while not verdicts.done():
                        wait([verdicts], timeout=0.5)
                    compared.update(zip(chunk, verdicts.result(), strict=True))
            except CancelledError as error:
                raise RuntimeError("the verifier pool was closed") from error
            except KeyboardInterrupt:
                for _, verdicts in self._chunks:  # or the interpreter would finish them before it ends
                    verdicts.cancel()
                raise
            self._verdicts = [
                item if isinstance(item, Verdict) else compared[item] for item in self._screened
            ]
            self._counts.update(self._verdicts)
        return self._verdicts


@dataclass(slots=True)
class _Worker:
    """One connection, and the process that serves it at the moment."""

    connection: Connection
    deadline_seconds: float
    process: int | None = None
    replaced: int = 0
    _messages: int = 0

    def judge(self, pairs: list[Pair]) -> list[Verdict]:
        try:
            if self.process is None:
                self._await_process()
            verdicts: list[Verdict] = []
            while len(verdicts) < len(pairs):
                verdicts += self._until_death(pairs[len(verdicts) :])
            return verdicts
        except (EOFError, OSError) as error:
            raise RuntimeError("the verification processes have ended") from error

    def _until_death(self, pairs: list[Pair]) -> list[Verdict]:
        """Verdicts up to and with the first comparison that the process did not survive, or all."""
        self._messages += 1
        self.connection.send_bytes(json.dumps([self._messages, pairs]).encode())
        verdicts: list[Verdict] = []
        while len(verdicts) < len(pairs):
            if not self.connection.poll(self.deadline_seconds):
                with suppress(ProcessLookupError):
                    os.kill(self.process, signal.SIGKILL)
                self._await_process()
                self.replaced += 1
                return [*verdicts, Verdict.TIMEOUT]
            message, kind, *reason = self.connection.recv_bytes().decode().split(" ", 2)
            if message == "ready":
                self.process = int(kind)
                self.replaced += 1
                return [*verdicts, Verdict.ERROR]
            if message != str(self._messages):
                continue
            if reason:
                logger.warning("comparison failed (%s) on %r", reason[0], pairs[len(verdicts)])
            verdicts.append(Verdict(kind))
        return verdicts

    def _await_process(self) -> None:
        """Read on until a new process reports; what an old one had still to say is void."""
        while self.connection.poll(START_SECONDS):
            message, rest = self.connection.recv_bytes().decode().split(" ", 1)
            if message == "ready":
                self.process = int(rest)
                return
        raise RuntimeError(f"no verification process within {START_SECONDS:.0f} s")
