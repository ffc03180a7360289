"""What workers run in the tests of the pool: the answer says what happens, or a reference with "on"."""

import os
import sys
import time

from rlvr.data import Verdict


def act(reference: str, answer: str) -> Verdict:
    if reference.endswith(" on"):
        answer = reference.removesuffix(" on")
    while answer == "spin":
        pass
    if answer.startswith("sleep "):
        time.sleep(float(answer.removeprefix("sleep ")))
    if answer == "exit":
        os._exit(0o7)
    if answer == "interrupt":
        raise KeyboardInterrupt
    if answer == "raise":
        raise ValueError("not \ud800 \0 printable")
    if answer == "two gibibytes":
        bytearray(2 << 30)
    if answer == "torch":
        return Verdict.CORRECT if "torch" in sys.modules else Verdict.WRONG
    return Verdict.CORRECT if reference == answer else Verdict.WRONG
