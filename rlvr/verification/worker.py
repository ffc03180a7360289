"""The processes behind `pool.VerifierPool`; it starts them as `python -m rlvr.verification.worker`.

One parent imports and warms up everything once and then only forks: a child for each connection, and
a new child, within milliseconds, in the place of any that died. What a child can't survive (a kill by the
pool, its memory limit, a crash of the interpreter) therefore costs one answer and nothing else.

A child says `ready <process id>`, then takes messages `[number, arguments]` in JSON and answers each with
`<number> <verdict>` or `<number> error <reason>`. The number tells the pool which replies to drop: those a
new child gives to a message its predecessor was killed before reading. Answers are only ever data: nothing is
unpickled.
"""

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from rlvr.data import Verdict


def main(function: str, memory_bytes: int, alarm_seconds: int, descriptors: list[int]) -> None:
    """Fork a child for each descriptor and replace those that die, until all have been told to end."""
    module_name, name = function.split(":")
    module = importlib.import_module(module_name)
    if hasattr(module, "warm_up"):
        module.warm_up()
    if sys.platform == "linux":  # elsewhere the limit is either ignored or refused
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    judge = getattr(module, name)

    def fork(descriptor: int) -> int:
        process = os.fork()
        if process == 0:
            for other in descriptors:
                if other != descriptor:  # or a connection would not end with the process that serves it
                    os.close(other)
            _live(descriptor, judge, alarm_seconds)
        return process

    serving = {fork(descriptor): descriptor for descriptor in descriptors}
    while serving:
        process, status = os.wait()
        descriptor = serving.pop(process)
        if status != 0:
            serving[fork(descriptor)] = descriptor


def _live(descriptor: int, judge: Callable[..., Verdict], alarm_seconds: int) -> None:
    """A child's whole life."""
    status = 1
    try:
        _serve(Connection(descriptor), judge, alarm_seconds)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        status = 0  # the pool has closed
    finally:
        os._exit(status)


def _serve(connection: Connection, judge: Callable[..., Verdict], alarm_seconds: int) -> None:
    connection.send_bytes(f"ready {os.getpid()}".encode())
    while True:
        number, arguments = json.loads(connection.recv_bytes())
        # Nobody handles this alarm, so the kernel ends a child whose pool was killed while it worked.
        signal.alarm(alarm_seconds)
        try:
            reply = judge(*arguments).value
        except MemoryError:
            raise  # whatever is left of this process, a new one is better
        except BaseException as error:
            reply = f"error {type(error).__name__}: {str(error)[:200]}"
        signal.alarm(0)
        connection.send_bytes(f"{number} {reply}".encode(errors="backslashreplace"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(descriptor) for descriptor in sys.argv[4:]])
