"""Files of JSON lines, one a step, that a resumed run takes back to the step it goes on from."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlvr.errors import UserError
from rlvr.files.atomic import write_whole
from rlvr.files.shapes import STEP, misfit


def append(file: Path, step: int, values: dict[str, Any]) -> None:
    """Add the line of a step."""
    with file.open("a") as lines:
        lines.write(json.dumps({"step": step, **values}) + "\n")


class Lines(Sequence[dict[str, Any]]):
    """All whole lines of a file, each parsed when it is asked for; none where there is no file.

    The last may still be being written, so it is left out. A line that is damaged is a UserError that names
    the file and the line.
    """

    def __init__(self, file: Path, *, finite: bool = False, shape: Mapping[str, Any] = STEP):
        """
        Args:
            finite: whether NaN and infinities, which Python writes but JSON does not have, count as damage.
            shape: what a line has, as `misfit` takes it; another one is damaged.
        """
        self._file, self._finite, self._shape = file, finite, shape
        self._lines = _whole_lines(file)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number = range(1, len(self) + 1)[index]
        try:
            values = json.loads(self._lines[index], parse_constant=_refuse if self._finite else None)
        except (ValueError, RecursionError) as error:  # of JSON, and of bytes that are no text
            raise damaged(self._file, number) from error
        if wrong := misfit(values, self._shape):
            raise damaged(self._file, number, wrong.strip())
        return values


def read(file: Path, *, finite: bool = False, shape: Mapping[str, Any] = STEP) -> list[dict[str, Any]]:
    """All lines that `Lines` has."""
    return list(Lines(file, finite=finite, shape=shape))


def damaged(file: Path, line: int, wrong: str = "") -> UserError:
    """The sentence for a line that no run writes."""
    reason = f" ({wrong})" if wrong else ""
    return UserError(
        f"line {line} of {file} is damaged{reason}: accepted is a JSON object with a step and finite numbers "
        "in a line; restore the file, or remove its folder and start the same command again"
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def claim(file: Path) -> dict[str, Any]:
    """Flush a file to disk; then how many lines it has, and their digest, for whoever relies on them."""
    if file.exists():
        with file.open("rb") as lines:
            os.fsync(lines.fileno())
    lines = _whole_lines(file)
    return {"lines": len(lines), "blake2b": _digest(lines)}


def breach(file: Path, claimed: dict[str, Any]) -> str | None:
    """What of the lines that were claimed is not there any more, or None; later ones don't matter."""
    lines = _whole_lines(file)
    if len(lines) < claimed["lines"]:
        return f"{file.name} has {len(lines)} lines of {claimed['lines']}"
    if _digest(lines[: claimed["lines"]]) != claimed["blake2b"]:
        return f"{file.name} does not have the lines it had"
    return None


def check_steps(file: Path, last: int) -> None:
    """Raises UserError unless a file has the steps 1 to `last`, each once and in order."""
    steps = [line["step"] for line in read(file)]
    if steps != list(range(1, last + 1)):
        raise UserError(
            f"{file} has {len(steps)} lines, of the steps {steps[:3]} ... {steps[-3:]}, in the place of 1 to "
            f"{last}: another process wrote to it. The same command goes on from the checkpoint before"
        )


def rewind(file: Path, step: int, lines: int | None = None) -> None:
    """Forget what was written after `step`: it is about to be done again. A line cut short goes too.

    Args:
        lines: how many lines are kept, where that is known.
    """
    if file.exists():
        if lines is None:
            kept = {line["step"]: json.dumps(line).encode() for line in read(file) if line["step"] <= step}
            text = [line + b"\n" for line in kept.values()]
        else:
            text = _whole_lines(file)[:lines]
        write_whole(file, b"".join(text))


def drop(file: Path, steps: Collection[int]) -> None:
    """Leave the lines of some steps out, which are known by how `append` begins them."""
    if not steps:
        return
    beginnings = tuple(f'{{"step": {step}{end}'.encode() for step in steps for end in ",}")
    lines = _whole_lines(file)
    kept = [line for line in lines if not line.startswith(beginnings)]
    if len(kept) < len(lines):
        write_whole(file, b"".join(kept))


def _whole_lines(file: Path) -> list[bytes]:
    if file.exists() and not file.is_file():  # a folder; or a pipe, of which reading never ends
        raise UserError(f"{file} is no file: restore it, or remove its folder and start again")
    content = file.read_bytes() if file.exists() else b""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def _digest(lines: list[bytes]) -> str:
    return hashlib.blake2b(b"".join(lines), digest_size=16).hexdigest()
