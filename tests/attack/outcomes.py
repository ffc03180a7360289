"""Trying a command in a process of its own, and what came of it."""

import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")


class Outcome(StrEnum):
    SAME = "same"  # the right numbers, whatever it took
    SENTENCE = "sentence"  # refused with exit status 2 and one sentence
    SAID = "said"  # other numbers, or none, and the output says so
    SILENT = "silent"
    TRACEBACK = "traceback"
    HANG = "hang"


FAULTS = (Outcome.SILENT, Outcome.TRACEBACK, Outcome.HANG)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A command's exit status (None where it was still at work at its deadline) and all that it printed."""

    status: int | None
    output: str

    @property
    def failure(self) -> Outcome | None:
        """How it ended where it did not end well; None with exit status 0."""
        if self.status is None:
            return Outcome.HANG
        if "Traceback (most recent call last)" in self.output:
            return Outcome.TRACEBACK
        if self.status == 2 and "rlvr: " in self.output:
            return Outcome.SENTENCE
        return None if self.status == 0 else Outcome.TRACEBACK


def attempt(action: Callable[[], object], seconds: float = 60.0) -> Attempt:
    """Run an action in a forked process, which has imported all it needs, up to a deadline."""
    with tempfile.TemporaryFile() as printed:
        sys.stdout.flush()
        sys.stderr.flush()
        if not (child := os.fork()):
            _be_the_child(action, printed.fileno())
        status = _wait(child, time.monotonic() + seconds)
        printed.seek(0)
        return Attempt(status, printed.read().decode(errors="replace"))


def _be_the_child(action: Callable[[], object], output: int) -> None:
    status = 1
    try:
        os.setsid()  # so that what it starts ends with it
        os.dup2(output, 1)
        os.dup2(output, 2)
        action()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(child: int, deadline: float) -> int | None:
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


@dataclass(slots=True)
class Tally:
    """The outcomes of one section, and every fault by name."""

    section: str
    counts: Counter[Outcome]
    faults: list[str]

    def __str__(self) -> str:
        parts = [f"{self.counts[outcome]} {outcome}" for outcome in Outcome if self.counts[outcome]]
        return f"{self.section}: {self.counts.total()} tried; {', '.join(parts)}"


def spread(cases: Iterable[Case], about: int | None) -> list[Case]:
    """All cases, or about so many of them, evenly spread."""
    cases = list(cases)
    return cases[:: max(1, len(cases) // about)] if about else cases


def tally(section: str, outcomes: Iterable[tuple[str, Outcome, str]]) -> Tally:
    """Count (name, outcome, output) triples, and print each fault when it is met."""
    result = Tally(section, Counter(), [])
    for name, outcome, output in outcomes:
        result.counts[outcome] += 1
        if outcome in FAULTS:
            result.faults.append(f"{name}: {outcome}: {last_line(output)[:200]}")
            print(f"  {result.faults[-1]}", flush=True)
        elif os.environ.get("ATTACK_VERBOSE"):
            print(f"    {name}: {outcome}: {last_line(output)}", flush=True)
    return result


def last_line(output: str) -> str:
    return output.strip().splitlines()[-1] if output.strip() else "nothing was printed"


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder, locks left out."""
    for file in source.rglob("*"):
        if file.is_file() and file.name != "lock":
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
