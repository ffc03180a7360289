"""Calls of a user's function, each with a deadline, in processes that can be killed one by one."""

import atexit
import json
import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import LifoQueue
from typing import Any

from rlvr.errors import UserError
from rlvr.functions.source import FileFunction, takes

START_SECONDS = 300.0  # a file may load a model of its own
MAX_USELESS = 8  # calls of each process that may take too long before the first one comes to an end


@dataclass(frozen=True, slots=True)
class Failed:
    """A call without a value, and why."""

    reason: str
    timed_out: bool = False


class FunctionPool:
    """A function of a file, in `workers` processes that start when they are first needed.

    Its file is run there and not here: it may loop, crash or print without harm, and a change of it while
    the run goes on is an error.

    Args:
        key: of the config, for the sentences.
        reference: `my_rewards.py:length_penalised`, with or without @digest.
        offers: names of what it may take; it is called with those that it has.
        parameters: its keyword-only arguments, the same in all calls, as JSON.
        deadline_seconds: of one call.
        workers: processes.

    Raises:
        UserError: as `source.resolved`.
    """

    def __init__(
        self,
        key: str,
        reference: str,
        offers: Sequence[str],
        parameters: str = "{}",
        deadline_seconds: float = 10.0,
        workers: int = 2,
    ):
        self.function = FileFunction.of(reference)
        self.deadline_seconds = deadline_seconds
        content, given = self.function.source(), json.loads(parameters)
        self._takes = takes(self.function, content, offers=offers, parameters=given, key=key)
        alarm = str(math.ceil(2 * deadline_seconds) + 1)
        self._idle: LifoQueue[_Process] = LifoQueue()  # the last one used has started
        for _ in range(workers):
            self._idle.put(_Process(self.function, alarm, parameters))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="function")
        self._useless: int | None = workers * MAX_USELESS  # None once a call has come to an end
        self._failed_on: set[str] | None = set()  # problems; None once a call has returned something

    def __call__(self, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """What the function returns for each call, in their order: None, a number, a text, a dict of them, a
        list with the name of any other type; or `Failed`.

        Raises:
            UserError: where the file can't be loaded, or no call so far returned anything: on two problems,
                since one may be odd, or many times in a row by its deadline.
        """
        arguments = [tuple(call[name] for name in self._takes) for call in calls]
        try:
            values = list(self._threads.map(self._one, arguments))
        except BaseException:
            self.close()  # or the calls that are left would be made before the interpreter ends
            pool_of.cache_clear()
            raise
        if not all(isinstance(value, Failed) for value in values):
            self._failed_on = None
        elif calls and self._failed_on is not None:
            self._failed_on |= {call["problem"].id for call in calls}
            if len(self._failed_on) > 1:
                failed = f"{self.function.plain} failed on all of {len(values)} calls"
                raise UserError(f"{failed}: {values[0].reason}")
        return values

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().end()

    def _one(self, arguments: tuple[Any, ...]) -> Any:
        process = self._idle.get()
        try:
            value = process.call(arguments, self.deadline_seconds)
        finally:
            self._idle.put(process)
        if not isinstance(value, Failed) or not value.timed_out:
            self._useless = None
        elif self._useless is not None:
            self._useless -= 1
            if self._useless <= 0:
                raise UserError(f"{self.function.plain} failed on all calls so far: {value.reason}")
        return value


class _Process:
    def __init__(self, function: FileFunction, *arguments: str):
        self._function, self._arguments = function, arguments
        self._process: subprocess.Popen | None = None
        self._connection: Connection

    def call(self, arguments: tuple[Any, ...], deadline_seconds: float) -> Any:
        if self._process is None:
            self._start()
        try:
            self._connection.send_bytes(pickle.dumps(arguments))
            if not self._connection.poll(deadline_seconds):
                self.end()
                return Failed(f"it took longer than its deadline of {deadline_seconds:g} s", timed_out=True)
            reply = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError, ValueError):  # ended, or wrote where its replies go
            self.end()
            return Failed("its process died")
        return Failed(f"it raised {reply['error']}") if "error" in reply else reply["value"]

    def _start(self) -> None:
        ours, theirs = Pipe()
        descriptor = theirs.fileno()
        # a process of its own, as the verifiers' (rlvr.verification.pool); its prints go to stderr
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rlvr.functions.worker", str(self._function), str(descriptor)),
                *self._arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=[descriptor],
            # sets of texts have the same order whenever it starts, so that a seed repeats
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
        theirs.close()
        self._connection = ours
        problem = f"it did not load within {START_SECONDS:.0f} s"
        with suppress(EOFError, OSError):
            if ours.poll(START_SECONDS):
                problem = "its process died"
                problem = ours.recv_bytes().decode()
        if problem:
            self.end()
            raise UserError(f"{self._function.path} can't be loaded: {problem}")

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._connection.close()


@cache
def pool_of(*arguments: Any) -> FunctionPool:
    """The pool of these arguments of `FunctionPool` in this process; it ends with the process."""
    pool = FunctionPool(*arguments)
    atexit.register(pool.close)
    return pool
