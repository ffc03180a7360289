"""A problem source of a plug-in: what is wrong with its parameters, and what goes wrong inside of it."""

import re
from pathlib import Path

import pytest

import rlvr.problems
from rlvr.config import ProblemsConfig
from rlvr.errors import UserError
from rlvr.problems import load_problems


def failing(size: int | None, held_out: bool, seed: int, depth: int = 1) -> list:
    return [size + "1" * depth]  # the line that fails


def test_what_fails_in_a_source_is_not_called_a_wrong_parameter(monkeypatch: pytest.MonkeyPatch):
    """A TypeError of its own was."""
    monkeypatch.setattr(rlvr.problems, "added", lambda kind, own: own | {"mine": failing})
    config = ProblemsConfig(name="mine", source="mine", size=4)
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "# the line that fails" in text)
    said = f"the problem source 'mine' failed in {__file__}, line {line}: TypeError: unsupported operand"
    with pytest.raises(UserError, match=re.escape(said)):
        load_problems(config, held_out=False)
    config.parameters = {"dpeth": 2}
    with pytest.raises(UserError, match=r"parameters of mine: got an unexpected keyword argument 'dpeth'"):
        load_problems(config, held_out=False)
