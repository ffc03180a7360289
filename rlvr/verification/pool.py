"""Comparisons that may hang, crash or eat all memory, in processes that can be killed one by one."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import LifoQueue
from threading import Lock, Semaphore

from rlvr.data import UNSCORABLE, Verdict
from rlvr.verification.mathematics import screen
from rlvr.verification.reference import Reference

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # a cold file system under load; a warm start takes about two seconds
PATIENCE_SECONDS = 0.5  # after it a comparison no longer counts as one of those at work
SPARES = 8  # processes for what takes longer, so that the others go on
STALLED = 0.1  # of the deadline: with less time on a CPU it was the machine that failed, not the answer
PROBE = r"\sqrt{7}+1"  # an answer that no reference should fail on

Pair = tuple[str | Reference, str]


class VerifierPool(AbstractContextManager):
    r"""Judges completions against references, in order, with a deadline for each.

        with VerifierPool(workers=2) as pool:
            verdicts = pool.verify([("42", r"... \boxed{42}"), ...])

    What needs no algebra is settled in the calling thread (`mathematics.screen`); the rest goes to processes,
    equal comparisons of one call once. `workers` of them are at work at a time; one that takes longer than
    PATIENCE_SECONDS lets another begin in a spare process. A comparison is broken off after
    `deadline_seconds`, counted from when its process begins it; others go on. Each process may hold
    `memory_bytes` of address space.

    Whose fault it is if a comparison raises, dies or is broken off: the answer's (WRONG), if the reference
    stands a comparison with PROBE; else the reference's (ERROR, TIMEOUT). A process that died is tried again,
    once, and so is one that had no time on a CPU; if that happens again, it is the machine's fault (TIMEOUT).

    Attributes:
        counts: verdicts given so far, by kind.
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
        arguments = [function, memory_bytes, math.ceil(2 * deadline_seconds) + 1]
        self._fleet = _Fleet(list(map(str, arguments)), workers + SPARES)
        self._workers = [_Worker(self._fleet, index, deadline_seconds) for index in range(workers + SPARES)]
        self._idle: LifoQueue[_Worker] = LifoQueue()  # the last one used is warm
        for worker in reversed(self._workers):
            self._idle.put(worker)
        self._turns = Semaphore(workers)  # rights to keep a CPU busy
        self._sound: dict[str | Reference, bool] = {}  # references that were probed
        self._parsed: dict[str | Reference, bool] = {}
        self._threads = ThreadPoolExecutor(workers + SPARES, thread_name_prefix="verifier")

    def verify(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Verdicts on (reference, completion text) pairs, in their order.

        Raises RuntimeError if the processes could not be started or kept, or the pool was closed.
        """
        return self._judged([screen(reference, text) for reference, text in pairs], self.counts)

    def compare(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Verdicts on (reference, answer) pairs in normal form, all of them by the workers; as `verify`."""
        return self._judged(pairs, self.counts)

    def are_parsed(self, references: Sequence[str | Reference]) -> dict[str | Reference, bool]:
        """Which references completions can be judged by; each is looked at once."""
        new = [reference for reference in dict.fromkeys(references) if reference not in self._parsed]
        screened = [screen(reference, rf"\boxed{{{PROBE}}}") for reference in new]
        verdicts = self._judged(screened, Counter())
        self._parsed |= {
            reference: verdict is not Verdict.REFERENCE_UNPARSABLE
            for reference, verdict in zip(new, verdicts, strict=True)
        }
        return {reference: self._parsed[reference] for reference in references}

    @property
    def replaced(self) -> int:
        """Processes that had to be killed or died."""
        return sum(worker.replaced for worker in self._workers)

    def _judged(self, screened: Sequence[Verdict | Pair], counts: Counter[Verdict]) -> list[Verdict]:
        """The verdicts, those that are pairs yet by the workers; noted in `counts`."""
        distinct = dict.fromkeys(item for item in screened if not isinstance(item, Verdict))
        pending = {pair: self._threads.submit(self._judge, pair) for pair in distinct}
        try:
            for verdict in pending.values():
                # Not one long wait: Python can miss an interrupt that comes as a wait begins.
                while not verdict.done():
                    wait([verdict], timeout=0.5)
            verdicts = [item if isinstance(item, Verdict) else pending[item].result() for item in screened]
        except CancelledError as error:
            raise RuntimeError("the verifier pool was closed") from error
        except KeyboardInterrupt:
            for verdict in pending.values():  # or the interpreter would finish them before it ends
                verdict.cancel()
            raise
        counts.update(verdicts)
        return verdicts

    def _judge(self, pair: Pair) -> Verdict:
        self._turns.acquire()
        end_turn = cache(self._turns.release)  # once, however often it is called
        worker = self._idle.get()
        try:
            verdict, stalled = worker.judge(pair, end_turn)
            if verdict in (Verdict.ERROR, Verdict.TIMEOUT) and not stalled and pair[1] != PROBE:
                reference = pair[0]
                if (sound := self._sound.get(reference)) is None:
                    probed, stalled = worker.judge((reference, PROBE), end_turn)
                    sound = probed not in UNSCORABLE
                    if not stalled:  # or it would say nothing of the reference, now and later
                        self._sound[reference] = sound
                return Verdict.WRONG if sound else verdict
            return verdict
        finally:
            self._idle.put(worker)
            end_turn()

    def close(self) -> None:
        """End all processes at once, whatever they are doing. Verdicts not yet given are lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._fleet.close()
        self._threads.shutdown(wait=True)  # their connections have ended, so they have too

    def __exit__(self, *error: object) -> None:
        self.close()


class _Fleet:
    """The process that forks the workers (`worker`), and a connection to each; started anew if it is gone."""

    def __init__(self, arguments: list[str], size: int) -> None:
        self._arguments, self._size = arguments, size
        self._lock = Lock()
        self.closed = False
        self.generation = 0
        self._start()

    def _start(self) -> None:
        pipes = [Pipe() for _ in range(self._size)]
        descriptors = [theirs.fileno() for _, theirs in pipes]
        # A process of its own rather than multiprocessing's: it imports neither the caller's main module nor
        # torch, and in a session of its own an interrupt at the keyboard reaches only the caller.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rlvr.verification.worker", *self._arguments, *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        for _, theirs in pipes:
            theirs.close()
        self.connections = [ours for ours, _ in pipes]
        self.served = False  # has any worker of this generation said that it is ready?

    def replace(self, generation: int) -> None:
        """Start anew, unless another thread already did. Raises RuntimeError where that is no use."""
        with self._lock:
            if self.closed or not (self.served or generation != self.generation):
                raise RuntimeError("the verification processes have ended")
            if generation == self.generation:
                logger.warning("the parent of the verification processes is gone; another is started")
                self._end()
                self._start()
                self.generation += 1

    def kill(self, process: int) -> None:
        """End one worker; never a stranger's process that by now has its number."""
        with suppress(ProcessLookupError):
            if os.getpgid(process) == self.process.pid:
                os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        with self._lock:
            self.closed = True
            self._end()

    def _end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # the group outlives its first process
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(slots=True)
class _Worker:
    """One place in the fleet, and the process that serves it at the moment."""

    fleet: _Fleet
    index: int
    deadline_seconds: float
    process: int | None = None
    replaced: int = 0
    _generation: int = -1
    _messages: int = 0

    def judge(self, pair: Pair, slow: Callable[[], None]) -> tuple[Verdict, bool]:
        """The verdict, and whether it only says that the machine gave the process no time.

        Args:
            slow: called, maybe again, when the comparison takes longer than PATIENCE_SECONDS.
        """
        outcome: tuple[Verdict | None, bool] = (None, False)
        for _ in range(2):
            while True:
                generation = self.fleet.generation
                try:
                    outcome = self._once(pair, slow, generation)
                    break
                except (EOFError, OSError):
                    self.fleet.replace(generation)
            if outcome[0] is not None and not outcome[1]:
                break
        verdict, stalled = outcome
        return (Verdict.ERROR if verdict is None else verdict), stalled

    def _once(self, pair: Pair, slow: Callable[[], None], generation: int) -> tuple[Verdict | None, bool]:
        """Verdict and stall of one try; None where the process died."""
        connection = self.fleet.connections[self.index]
        if self._generation != generation:
            self._await_process(connection)
            self._generation = generation
        while connection.poll(0):  # it died while it was idle, or says what no longer counts
            self._hear(connection)
        self._messages += 1
        connection.send_bytes(json.dumps([self._messages, pair]).encode())
        started, begun = time.monotonic(), _cpu_seconds(self.process)
        for limit in (min(PATIENCE_SECONDS, self.deadline_seconds), self.deadline_seconds):
            while connection.poll(max(started + limit - time.monotonic(), 0)):
                kind, reason = self._hear(connection)
                if kind == "ready":
                    logger.info("a verification process died on %r", pair)
                    return None, False
                if kind:
                    if reason:
                        logger.info("comparison failed (%s) on %r", reason, pair)
                    return Verdict(kind), False
            slow()
        return self._break_off(connection, begun, pair)

    def _break_off(self, connection: Connection, begun: float, pair: Pair) -> tuple[Verdict, bool]:
        used = _cpu_seconds(self.process) - begun
        stalled = used < STALLED * self.deadline_seconds
        logger.info("broken off after %.1f s of CPU time: %r", used, pair)
        self.fleet.kill(self.process)
        self._await_process(connection)
        self.replaced += 1
        return Verdict.TIMEOUT, stalled

    def _hear(self, connection: Connection) -> tuple[str, str]:
        """One message: "ready" of a new process, a verdict and its reason, or "" for what is void."""
        message, rest = connection.recv_bytes().decode().split(" ", 1)
        if message == "ready":
            self.process = int(rest)
            self.replaced += 1
            return "ready", ""
        kind, _, reason = rest.partition(" ")
        return (kind, reason) if message == str(self._messages) else ("", "")

    def _await_process(self, connection: Connection) -> None:
        """Read on until a new process reports; what an old one had still to say is void."""
        patience = time.monotonic() + START_SECONDS
        while time.monotonic() < patience:
            if not connection.poll(1.0):
                if self.fleet.process.poll() is not None:
                    raise EOFError("nobody is left to fork another")
                continue
            message, rest = connection.recv_bytes().decode().split(" ", 1)
            if message == "ready":
                self.process = int(rest)
                self.fleet.served = True
                return
        raise RuntimeError(f"no verification process within {START_SECONDS:.0f} s")


def _cpu_seconds(process: int) -> float:
    """The time a process has had on CPUs; where that cannot be read, all the time there was."""
    if not sys.platform.startswith("linux"):
        return time.monotonic()
    try:
        return time.clock_gettime((~process << 3) | 2)  # the number Linux gives a process's clock
    except OSError:
        return time.monotonic()
