"""The processes behind `pool.FunctionPool`; it starts them as `python -m rlvr.functions.worker`.

A process loads the file, says "" (or why it could not) and then answers each call with `{"value": ...}` or
`{"error": "ValueError: ..."}` in JSON. What the function prints goes to stderr.
"""

import contextlib
import json
import os
import pickle
import signal
import sys
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rlvr.functions.source import FileFunction


def main(reference: str, descriptor: int, alarm_seconds: int, parameters: dict[str, Any]) -> None:
    """Answer calls until the pool closes the connection."""
    connection, own = Connection(descriptor), os.getpid()
    try:
        function = load(FileFunction.of(reference))
    except BaseException as error:
        connection.send_bytes(sentence(error).encode(errors="backslashreplace"))
        return
    connection.send_bytes(b"")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            arguments = pickle.loads(connection.recv_bytes())  # the pool's own
            # nobody handles this alarm: it ends a process whose pool was killed while it worked
            signal.alarm(alarm_seconds)
            try:
                reply = json.dumps({"value": plain(function(*arguments, **parameters))})
            except MemoryError:
                os._exit(1)
            except BaseException as error:
                reply = json.dumps({"error": sentence(error)})
            if os.getpid() != own:  # the function has forked, and its child returned: one reply is enough
                os._exit(0)
            signal.alarm(0)
            connection.send_bytes(reply.encode())


def load(function: FileFunction) -> Callable[..., Any]:
    """Run the file as a module of its own; files beside it can be imported."""
    content = function.source()
    file = Path(function.path).expanduser().resolve()
    sys.path.append(str(file.parent))
    module = types.ModuleType(f"file_{file.stem}")  # a name that shadows no other module's
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    exec(compile(content, str(file), "exec"), module.__dict__)
    return getattr(module, function.name)


def plain(value: Any) -> Any:
    """Numbers of numpy and torch as Python's; what is no JSON as {"type": ...}, which the pool refuses."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return plain(value.item())
    return [type(value).__name__]


def sentence(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
