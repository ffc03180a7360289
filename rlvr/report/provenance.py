"""Where the numbers of a report come from: commands, commits, versions, and time and cost by stage."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from rlvr.files.run_files import RunFiles

STAGES = ("sampling", "verification", "advantage", "update", "weight_sync")  # of a training step
FORMER_NAMES = {"seconds/handover": "seconds/weight_sync"}  # in timing.jsonl of older runs
FLOPS = ("G", 1e9), ("T", 1e12), ("P", 1e15), ("E", 1e18), ("Z", 1e21)


def run_facts(run: RunFiles, labels: dict[str, str]) -> dict[str, Any]:
    """One line of the provenance table: finished texts, the seed, and seconds by stage."""
    summary, provenance = run.summary, run.provenance
    git = provenance.get("git", {})
    return {
        "arm": labels.get(run.arm, run.arm),
        "seed": run.seed,
        "status": "evaluated" if run.finished else summary.get("status", "training"),
        "started": (provenance.get("started") or ["–"])[-1].replace("T", " ").replace("+00:00", " UTC"),
        "commit": git.get("commit", "unknown")[:12] + (" (changed)" if git.get("dirty") else ""),
        "checkpoint": f"step {summary['checkpoint_step']}" if "checkpoint_step" in summary else "–",
        "tokens": f"{tokens:,.0f}" if (tokens := summary.get("tokens", {}).get("sampled")) else "–",
        "flops": flops(total) if (total := sum(summary.get("flops", {}).values())) else "–",
        "stages": seconds_by_stage(run),
    }


def seconds_by_stage(run: RunFiles) -> dict[str, float]:
    """Seconds of a run by stage; `other` is loading, validation and checkpoints."""
    timing = pd.DataFrame(
        [{FORMER_NAMES.get(name, name): value for name, value in line.items()} for line in run.timing]
    )
    seconds = {
        stage: float(timing[column].sum()) for stage in STAGES if (column := f"seconds/{stage}") in timing
    }
    total = run.summary.get("seconds", {})
    if "training" in total:
        seconds["other"] = max(total["training"] - sum(seconds.values()), 0.0)
    return seconds | {stage: total[stage] for stage in ("profiling", "evaluation") if stage in total}


def common_facts(runs: Sequence[RunFiles]) -> list[tuple[str, list[str]]]:
    """What is the same for most runs: each fact with its distinct values."""

    def distinct(values: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(value for value in values if value))

    known = [run.provenance for run in runs if run.provenance]
    packages, hardware, data = (
        [_pairs(entry.get(key, {})) for entry in known] for key in ("packages", "hardware", "data")
    )
    return [
        ("Command", distinct([entry.get("command", "") for entry in known])),
        ("Model", distinct([run.config.model.path for run in runs])),
        ("Python", distinct([entry.get("python", "") for entry in known])),
        ("Packages", distinct(packages)),
        ("Hardware", distinct(hardware)),
        ("Data digest", distinct(data)),
    ]


def flops(count: float) -> str:
    """3.9e12 -> "3.9 TFLOP" """
    prefix, size = max(((p, s) for p, s in FLOPS if count >= s), key=lambda item: item[1], default=FLOPS[0])
    return f"{count / size:,.1f} {prefix}FLOP"


def _pairs(entries: dict[str, Any]) -> str:
    return ", ".join(
        f"{key.replace('_', ' ')} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in entries.items()
        if value != []
    )
