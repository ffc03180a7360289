"""A run's evaluation in the words of lm-evaluation-harness, for programs that read its results_*.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rlvr.config import Config
from rlvr.evaluation import counts, pass_at_k_of
from rlvr.files.atomic import write_whole
from rlvr.files.run_directory import read_summary


def write_lm_eval(config: Config, run: Path) -> Path:
    """Write `evaluation/results_lm_eval.json` beside the samples it is made from; returns the file.

    A benchmark is a task, pass@k the metrics `pass@1,none` and so on, each with `_stderr`: the standard error
    of a mean over problems, s / sqrt(problems), as the harness has it. `n-samples` counts problems.
    """
    summary = read_summary(run)
    evaluation = summary["evaluation"]
    tallies = {name: counts(run / "evaluation" / f"{name}.parquet") for name in evaluation}
    sampling = asdict(config.evaluation.sampling)
    content: dict[str, Any] = {
        "results": {name: _metrics(name, tallies[name], evaluation[name]) for name in evaluation},
        "group_subtasks": {name: [] for name in evaluation},
        "configs": {
            name: {
                "task": name,
                "output_type": "generate_until",
                "repeats": evaluation[name]["samples"],
                "num_fewshot": 0,
                "generation_kwargs": {"do_sample": sampling["temperature"] > 0, **sampling},
            }
            for name in evaluation
        },
        "versions": {name: summary["evaluated"]["benchmarks"][name] for name in evaluation},
        "n-shot": {name: 0 for name in evaluation},
        "n-samples": {
            name: {"original": result["problems"], "effective": len(pass_at_k_of(tallies[name], 1))}
            for name, result in evaluation.items()
        },
        "config": {
            "model": config.rollout.name,
            "model_args": {"pretrained": config.model.path, "dtype": config.model.dtype},
            "model_dtype": config.model.dtype,
            "random_seed": config.evaluation.seed + config.seed,
        },
        "model_name": config.model.path,
        "model_source": "rlvr",
        "checkpoint_step": summary["checkpoint_step"],
        "total_evaluation_time_seconds": str(summary["seconds"]["evaluation"]),
    }
    file = run / "evaluation" / "results_lm_eval.json"
    write_whole(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return file


def _metrics(name: str, tally: Any, result: dict[str, Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = {"alias": name}
    for k in sorted(map(int, result["pass@k"])):
        values = pass_at_k_of(tally, k)
        if len(values):
            metrics[f"pass@{k},none"] = float(values.mean())
            spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else "N/A"
            metrics[f"pass@{k}_stderr,none"] = spread
    return metrics
