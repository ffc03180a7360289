"""The commands that README, docs and examples show, as they stand in their ```bash blocks."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from rlvr.config import PACKAGE

ROOT = PACKAGE.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
# a block whose commands need what a test has not says so in a comment that readers of the page do not see
BLOCK = re.compile(r"^(?:<!-- needs: (?P<needs>.+?) -->\n+)?```bash\n(?P<body>.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`((?:rlvr|make) [a-z][^`\n]*)`(?!`)")


@dataclass(frozen=True)
class Command:
    """One command of a page: its words, and what it needs, if that is not here."""

    page: Path
    words: tuple[str, ...]
    needs: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {' '.join(self.words)}"


def commands_of(page: Path) -> list[Command]:
    """Every line of every bash block, then what stands in a sentence.

    A line that ends with a backslash goes on, and # begins a comment.
    """
    found = []
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        for line in block["body"].replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                found.append(Command(page, tuple(words), block["needs"]))
    return found + [Command(page, tuple(shlex.split(line)), "its sentence") for line in INLINE.findall(text)]


def all_commands() -> list[Command]:
    return [command for page in PAGES for command in commands_of(page)]
