"""Files of JSON lines, one a step, that a resumed run takes back to the step it goes on from."""

import json
import os
from pathlib import Path
from typing import Any

from rlvr.errors import UserError


def append(file: Path, step: int, values: dict[str, Any]) -> None:
    """Add the line of a step."""
    with file.open("a") as lines:
        lines.write(json.dumps({"step": step, **values}) + "\n")


def read(file: Path, *, finite: bool = False) -> list[dict[str, Any]]:
    """All whole lines; none where there is no file. The last may still be being written, so it is left out.

    Args:
        finite: whether NaN and infinities, which Python writes but JSON does not have, count as damage.

    Raises:
        UserError: for a line that is damaged; it names the file and the line.
    """
    found = []
    # bytes, since a damaged line need not be text
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line, parse_constant=_refuse if finite else None)
        except ValueError as error:  # of JSON, and of bytes that are no text
            raise damaged(file, number) from error
        if not isinstance(values, dict) or "step" not in values:
            raise damaged(file, number)
        found.append(values)
    return found


def damaged(file: Path, line: int) -> UserError:
    """The sentence for a line that no run writes."""
    return UserError(
        f"line {line} of {file} is damaged: accepted is a JSON object with a step and finite numbers in a "
        "line; remove that line, or restore the file from a copy"
    )


def rewind(file: Path, step: int) -> None:
    """Forget what was written after `step`: it is about to be done again. A line cut short goes too."""
    if file.exists():
        aside = file.with_suffix(".partial")
        aside.write_text("".join(json.dumps(line) + "\n" for line in read(file) if line["step"] <= step))
        os.replace(aside, file)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
