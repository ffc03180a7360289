"""A table's file in `experiments/`: its arms, benchmarks and metrics, and the published numbers beside them.

extends: fgrpo/table1                       # another file, whose keys hold where this one has none
runs: fgrpo/table1                          # whose runs it shows, where they are not its own
title: what the table shows
published: {file: fgrpo.csv, table: "1", model: Qwen2.5-7B, note: how its setting differs from ours}
metrics: [pass@1, pass@256]                 # a panel each
columns: {in_domain: [...], out_of_domain: [...]}   # benchmarks; each list is followed by its average
labels: {math500: MATH500}                  # how a benchmark, group or average is printed
arms:                                       # the rows, in order; an arm is tested against its baseline
  - {name: grpo, label: GRPO, ...}
  - {name: f-grpo, label: F-GRPO, baseline: grpo, ...}
  - {name: ds-grpo, ask: algorithm.differential_smoothing.correct, ...}   # left out where that is not given
effort:                                     # panels of what training cost, and what equal reward cost
  units: [flops]                            # what an arm's cost is compared with its baseline's in
  shares: [0.5, 1]                          # of the baseline's gain in validation
  claimed: {flops: {f-grpo: "2"}}           # what a paper says of it
  claim: a sentence on that
plan: {gpus: 1}                             # what `rlvr plan` assumes (rlvr.runs.estimate.Assumptions)
figures: [pass-at-k, difference]            # which to draw; group-size and training need arms that say
                                            # their group_size and gamma (rlvr.tables.sweep_figures)
sweep: {label: group size N, base: 2}       # a figure over the `x` of arms, a line for each `series`
dynamics: {validation: aime25, smoothing: 0.08}     # a figure of training by step
entropy: true                               # a figure of entropy against pass@k
scales: {paper: {columns: ...}}             # what replaces the above at one scale
"""

import re
from pathlib import Path
from typing import Any

import yaml

from rlvr.errors import UserError, unknown

FIGURES = ("pass-at-k", "difference", "group-size", "training")  # the first two where none are named
EFFORT_UNITS = {"steps": "steps", "flops": "FLOPs", "seconds": "seconds"}


DELTA_NLL, RARE = "delta_nll_rare", "rare"  # a metric besides pass@k, and what it is measured on


def read_spec(path: Path, scale: str) -> dict[str, Any]:
    """The table of a file `<paper>/<table>.yaml` at a scale; `name` becomes `<paper>/<table>`.

    Raises:
        UserError: if the layout is incomplete or refers to what is not there.
    """
    spec = read_layout(path)
    spec = joined(spec, spec.pop("scales", {}).get(scale, {}))
    spec["name"] = f"{path.parent.name}/{path.stem}"
    check_spec(spec)
    return spec


def read_layout(path: Path) -> dict[str, Any]:
    """A table's file for all scales, on top of the files that it extends.

    Raises:
        UserError: if a file that it extends is not there.
    """
    layout = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not (parent := layout.pop("extends", None)):
        return layout
    root = path.parents[1]  # of all papers
    if not (file := root / f"{parent}.yaml").is_file():
        there = [str(other.relative_to(root).with_suffix("")) for other in root.rglob("*.yaml")]
        raise unknown("file that a table extends", parent, there)
    return joined(read_layout(file), layout)


def joined(first: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Two layouts, the second's keys before the first's; `labels`, `published` and `scales` key by key."""
    result = first | then
    for key in ("labels", "published"):
        if first.get(key) and then.get(key):
            result[key] = first[key] | then[key]
    if "scales" in first and "scales" in then:
        names = first["scales"] | then["scales"]
        result["scales"] = {
            name: joined(first["scales"].get(name, {}), then["scales"].get(name, {})) for name in names
        }
    return result


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
    if spec.get("dynamics") and not any(arm.get("baseline") for arm in spec["arms"]):
        raise UserError(
            f"table {spec['name']} has dynamics, a figure of arms beside their baselines, but no baseline: "
            "give an arm its baseline, or leave dynamics out"
        )
    for figure in spec.get("figures", ()):
        if figure not in FIGURES:
            raise unknown("figure of a table", figure, FIGURES)
    for metric in spec["metrics"]:
        metric_k(metric)
    if "effort" in spec:
        check_effort(spec["effort"])


def check_effort(effort: dict[str, Any]) -> None:
    """Refuse units that are not measured and shares that are none."""
    for unit in effort["units"]:
        if unit not in EFFORT_UNITS:
            raise unknown("unit of effort", unit, EFFORT_UNITS)
    for share in effort["shares"]:
        if not 0 < share <= 1:
            raise UserError(f"effort.shares holds {share}: accepted are shares above 0 and at most 1")


def metric_k(metric: str) -> int:
    """The k of "pass@k"."""
    if not (match := re.fullmatch(r"pass@([1-9]\d*)", metric)):
        raise unknown("metric", metric, ["pass@1", "pass@2", "pass@4", "pass@k for any k"])
    return int(match[1])


def experiment(spec: dict[str, Any], scale: str) -> str:
    """The folder of the runs that a table shows, below that of all runs."""
    return f"{spec.get('runs') or spec['name']}/{scale}"


def table_stem(name: str, scale: str) -> str:
    """How the names of a table's files begin."""
    return f"{name.replace('/', '-')}-{scale}"


def differences_file(name: str, scale: str) -> str:
    """The file with the differences of a table's arms, beside the table."""
    return f"{table_stem(name, scale)}-differences.csv"


def savings_file(name: str, scale: str) -> str:
    """The file with what arms save against their baselines, beside a table with `effort`."""
    return f"{table_stem(name, scale)}-savings.csv"


def label(spec: dict[str, Any], name: str) -> str:
    """How a benchmark, a group of benchmarks or an average is printed."""
    return spec.get("labels", {}).get(name, name)


def arm_label(arm: dict[str, Any]) -> str:
    """How an arm is printed."""
    return arm.get("label", arm["name"])
