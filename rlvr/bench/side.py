"""One contestant is one process: its own environment, threads and memory. Others are stopped while it works,
since a server's threads may spin where they only wait.

`Side` starts it and asks; in it, `requests` reads what is asked, one JSON object a line, and answers each
with one line. Its peak memory is the process's, from its start.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlvr.errors import UserError


class Side:
    """A running contestant.

    Args:
        module: file or module to run, with the job as its only argument.
        python: interpreter of the environment it lives in.
    """

    def __init__(self, name: str, module: str, job: dict[str, Any], python: str = sys.executable):
        self.name = name
        run = [module] if module.endswith(".py") else ["-m", module]
        environment = os.environ | {"OMP_NUM_THREADS": str(job["threads"]), "TOKENIZERS_PARALLELISM": "false"}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (read when the process has ended)
        self._process = subprocess.Popen(
            [python, *run, json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
            process_group=0,  # with what it starts itself: if this process dies, the stopped ones end too
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have the side do something; returns what it says, `seconds` among it."""
        self._signal(signal.SIGCONT)
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            reason = self._errors.read().strip().splitlines()
            raise UserError(f"{self.name} ended during {do}: {reason[-1] if reason else 'it gave no reason'}")
        self._signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # until it is
        return json.loads(answer)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End the process: it has nothing more to read."""
        self._signal(signal.SIGCONT)
        self._process.stdin.close()
        self._process.wait()


Request = tuple[dict[str, Any], Callable[[dict[str, Any]], None]]


def requests() -> Iterator[Request]:
    """In a side's process: each request with the function that answers it.

    From this call on all other output goes to stderr, that of libraries too, which write past `sys.stdout`.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=answers, flush=True)

    return ((json.loads(line), answer) for line in sys.stdin)


def peak_bytes() -> int:
    """The largest resident memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def python_of(environment: str) -> str | None:
    """The interpreter of an environment beside the project, where it has been built."""
    path = Path(environment) / "bin" / "python"
    return str(path) if path.exists() else None
