"""Files of JSON lines, one a step, that a resumed run takes back to the step it goes on from."""

import json
import os
from pathlib import Path
from typing import Any


def append(file: Path, step: int, values: dict[str, Any]) -> None:
    """Add the line of a step."""
    with file.open("a") as lines:
        lines.write(json.dumps({"step": step, **values}) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """All whole lines; none where there is no file."""
    text = file.read_text() if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def rewind(file: Path, step: int) -> None:
    """Forget what was written after `step`: it is about to be done again. A line cut short goes too."""
    if file.exists():
        aside = file.with_suffix(".partial")
        aside.write_text("".join(json.dumps(line) + "\n" for line in read(file) if line["step"] <= step))
        os.replace(aside, file)
