"""How far a tracker is with a run, kept beside the run so that a resumed one sends nothing twice."""

from pathlib import Path
from typing import NamedTuple, Self

from rlvr.files.atomic import write_whole


class Sent(NamedTuple):
    """What a tracker was sent last; these compare in the order in which a run makes them.

    Attributes:
        step: -1 where it was sent nothing.
        validated: whether that was the validation of the step, which comes after its metrics.
    """

    step: int = -1
    validated: bool = False

    def __str__(self) -> str:
        return f"{self.step} validated" if self.validated else str(self.step)

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` made of it."""
        step, *rest = text.split()
        return cls(int(step), rest == ["validated"])

    @classmethod
    def read(cls, file: Path) -> Self:
        """What was written; nothing where there is no file."""
        return cls.parse(file.read_text()) if file.exists() else cls()

    def write(self, file: Path) -> None:
        write_whole(file, str(self))
