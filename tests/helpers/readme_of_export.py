"""The code that an export's README shows, run as a reader would."""

import re
from pathlib import Path
from typing import Any

import pytest


def asked_as_the_readme_says(
    folder: Path, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> tuple[str, str]:
    """The prompt and the answer that it makes for a problem's words."""
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace('"..."', repr(words)), names)
    return names["prompt"], capsys.readouterr().out.removesuffix("\n")
