"""A table's file in `experiments/`: its arms, benchmarks and metrics, and the published numbers beside them.

title: what the table shows
published: {file: fgrpo.csv, table: "1", model: Qwen2.5-7B, note: how its setting differs from ours}
metrics: [pass@1, pass@256]                 # a panel each
columns: {in_domain: [...], out_of_domain: [...]}   # benchmarks; each list is followed by its average
labels: {math500: MATH500}                  # how a benchmark, group or average is printed
arms:                                       # the rows, in order; an arm is tested against its baseline
  - {name: grpo, label: GRPO, ...}
  - {name: f-grpo, label: F-GRPO, baseline: grpo, ...}
scales: {paper: {columns: ...}}             # what replaces the above at one scale
"""

import re
from pathlib import Path
from typing import Any

import yaml

from rlvr.errors import UserError, unknown


def read_spec(path: Path, scale: str) -> dict[str, Any]:
    """The table of a file `<paper>/<table>.yaml` at a scale; `name` becomes `<paper>/<table>`.

    Raises:
        UserError: if the layout is incomplete or refers to what is not there.
    """
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    spec |= spec.pop("scales", {}).get(scale, {})
    spec["name"] = f"{path.parent.name}/{path.stem}"
    check_spec(spec)
    return spec


def check_spec(spec: dict[str, Any]) -> None:
    """Refuse a table that could not be laid out."""
    for key in ("name", "title", "metrics", "columns", "arms"):
        if not spec.get(key):
            raise UserError(f"a table needs a value for {key!r}; given are {', '.join(sorted(spec))}")
    arms = [arm["name"] for arm in spec["arms"]]
    benchmarks = [benchmark for group in spec["columns"].values() for benchmark in group]
    for kind, names in (("arm", arms), ("benchmark", benchmarks)):
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"{kind} {name!r} is in table {spec['name']} twice: accepted is once")
    for arm in spec["arms"]:
        if arm.get("baseline", arms[0]) not in arms:
            raise unknown("baseline", arm["baseline"], arms)
    for metric in spec["metrics"]:
        metric_k(metric)


def metric_k(metric: str) -> int:
    """The k of "pass@k"."""
    if not (match := re.fullmatch(r"pass@([1-9]\d*)", metric)):
        raise unknown("metric", metric, ["pass@1", "pass@2", "pass@4", "pass@k for any k"])
    return int(match[1])


def label(spec: dict[str, Any], name: str) -> str:
    """How a benchmark, a group of benchmarks or an average is printed."""
    return spec.get("labels", {}).get(name, name)


def arm_label(arm: dict[str, Any]) -> str:
    """How an arm is printed."""
    return arm.get("label", arm["name"])
