"""When a claim was declared, and whether what it is about had been measured by then, from git's history.

The history is read where it is whole; what it said is kept in `results/declared/<paper>-<scale>.csv`, from
which a copy without a history has the dates.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from rlvr.files.atomic import write_whole
from rlvr.files.git import git
from rlvr.tables.claims_file import SIMULATION, TOY_TREE, SharedKeys
from rlvr.tables.spec import table_stem

FOLDER = "declared"
WHOLE = {SIMULATION: "theory/categorical.npz", TOY_TREE: "theory/toy_tree.csv"}  # data without arms


@dataclass(frozen=True, slots=True)
class Declaration:
    """Commits and times (UTC, "2026-11-21 11:31") of a claim and of the first data it is about.

    Attributes:
        commit, declared: the first commit in which the claim stands as it does now; "" where there is none.
        data_commit, measured: the first one that holds both arms of one of its differences; "" where there is
            none.
    """

    commit: str = ""
    declared: str = ""
    data_commit: str = ""
    measured: str = ""

    @property
    def before_data(self) -> bool:
        """Whether it can be seen that nothing had been measured; not so where both came in one commit."""
        return bool(self.commit) and (not self.data_commit or self.declared < self.measured)

    @property
    def word(self) -> str:
        if not self.commit:
            return "not committed"
        return "before its data" if self.before_data else "**after its data**"

    def __str__(self) -> str:
        if not self.commit:
            return "Not committed yet, so nothing says when it was declared."
        said = f"Declared {self.declared} ({self.commit})"
        if not self.data_commit:
            return f"{said}; no data of it was committed."
        if self.commit == self.data_commit:
            return f"{said}, in the commit that brought its data: it was chosen with them in hand."
        side = "before" if self.before_data else "**after**"
        return f"{said}, {side} the first of its data, {self.measured} ({self.data_commit})."


def declarations(claims_file: Path, scale: str, results: Path) -> dict[str, Declaration]:
    """Of each claim of a file, by its text; those of git are kept in a file of `FOLDER`."""
    stored = results / FOLDER / f"{claims_file.parent.name}-{scale}.csv"
    if not has_history(claims_file, results):
        return _read(stored)
    versions = [(commit, time, _claims(text)) for commit, time, text in _versions(claims_file)]
    claims = _claims(claims_file.read_text())
    first_added = cache(partial(_first_added, results))  # claims name the same arms again and again
    found = {}
    for text, stated in claims.items():
        first = next(((c, t) for c, t, then in versions if then.get(text) == stated), ("", ""))
        data = [first_of for one in stated if (first_of := _first_data(first_added, scale, one))]
        measured, data_commit = min(data, default=("", ""))
        found[text] = Declaration(*first, data_commit, measured)
    rows = pd.DataFrame([{"claim": text} | asdict(one) for text, one in found.items()])
    write_whole(stored, rows.to_csv(index=False))
    return found


def has_history(file: Path, results: Path) -> bool:
    """Whether git knows a file with all that came before, and would know of results too.

    Of a folder elsewhere it knows nothing, which is not to say that nothing was measured.
    """
    told = git(file.parent, "rev-parse", "--is-shallow-repository", "--show-toplevel")
    shallow, _, root = told.partition("\n")
    if shallow != "false" or not results.resolve().is_relative_to(root.strip()):
        return False
    return bool(git(file.parent, "log", "-1", "--format=%h", "--", file.name))


def _claims(text: str) -> dict[str, list[dict[str, Any]]]:
    """The differences of each claim, complete, whatever the order and the place of their keys."""
    try:
        claims = yaml.safe_load(text)["claims"]
    except (yaml.YAMLError, KeyError, TypeError):
        return {}
    shared = [item.name for item in fields(SharedKeys)]
    stated = {}
    for claim in claims:
        above = {key: claim[key] for key in shared if key in claim}
        stated[claim["claim"]] = sorted(
            (above | one for one in claim.get("differences", [])),
            key=lambda one: json.dumps(one, sort_keys=True),
        )
    return stated


def _first_data(
    first_added: Callable[..., tuple[str, str] | None], scale: str, stated: dict[str, Any]
) -> tuple[str, str] | None:
    """Time and commit in which the later arm of a difference came; None where one has no data.

    Args:
        first_added: `_first_added` of a folder of results.
    """
    if stated["table"] in WHOLE:
        return first_added(WHOLE[stated["table"]])
    files = f"tables/{table_stem(stated['table'], scale)}"
    arms = [
        first_added(f"{files}-rates.csv", f"^{re.escape(arm['member'])},")
        if isinstance(arm, dict)
        else first_added(f"{files}*.csv", f"(^|,){re.escape(arm)}(,|$)")
        for arm in (stated["arm"], stated["minus"])
    ]
    return None if None in arms else max(arms)


def _versions(file: Path) -> list[tuple[str, str, str]]:
    """Commit, time and text of each version of a file, the oldest first."""
    commits = _commits(file.parent, "--reverse", "--", file.name)
    return [(commit, time, git(file.parent, "show", f"{commit}:./{file.name}")) for time, commit in commits]


def _first_added(results: Path, pattern: str, line: str = "") -> tuple[str, str] | None:
    """Time and commit in which the first file of a pattern came, or in one of them a line."""
    commits = _commits(results, "--reverse", f"-G{line}" if line else "--diff-filter=A", "--", pattern)
    return commits[0] if commits else None


def _commits(folder: Path, *arguments: str) -> list[tuple[str, str]]:
    """Time and short name of the commits that `git log` lists."""
    as_utc = ("--date=format-local:%Y-%m-%d %H:%M", "--format=%ad\t%h")
    lines = git(folder, "log", "--abbrev=7", *as_utc, *arguments).splitlines()
    return [(time, commit) for time, commit in (line.split("\t") for line in lines)]


def _read(file: Path) -> dict[str, Declaration]:
    if not file.exists():
        return {}
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    keys = [item.name for item in fields(Declaration)]
    return {row["claim"]: Declaration(*(row[key] for key in keys)) for _, row in rows.iterrows()}
