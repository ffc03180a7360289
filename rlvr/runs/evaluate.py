"""Evaluation of a run: choose a checkpoint, sample every benchmark with it, add pass@k to the summary."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.evaluation import counts, pass_at_k_of
from rlvr.evaluation.sampling import sample_benchmarks
from rlvr.evaluation.validation import benchmark_problems, read_validation
from rlvr.files.run_directory import RunDirectory, read_summary
from rlvr.rollout.engine import Sampling
from rlvr.runs import rare
from rlvr.runs.deadline import check_time, closing
from rlvr.tracking.tracker import Tracker
from rlvr.training.checkpoint import checkpoint_path, damage_of
from rlvr.training.setup import open_engine


def chosen_step(config: Config, path: Path) -> int:
    """The checkpoint with the best average in-domain pass@1, the earliest of equals (F-GRPO, App. L.2).

    With `evaluation.latest_step`, among those up to it: a focal arm has no more compute than its baseline.
    With `evaluation.checkpoint=last` the last of them, whatever its pass@1. A run without training has one
    checkpoint, and no validation.
    """
    latest = config.evaluation.latest_step
    measured = read_validation(path / "validation.jsonl") if config.training.steps else {0: 0.0}
    scores = {
        step: score
        for step, score in measured.items()
        if (latest is None or step <= latest)
        and (step > 0 or config.training.steps == 0 or latest == 0)
        and damage_of(checkpoint_path(path, step)) is None
    }
    if not scores:
        raise UserError(f"{path} has no whole checkpoint up to step {latest}: train it first")
    if config.evaluation.checkpoint == "last":
        return max(scores)
    return max(scores, key=lambda step: (scores[step], -step))


def evaluate_run(config: Config, directory: RunDirectory) -> None:
    """Do what is left to do of the evaluation of the chosen checkpoint."""
    step = chosen_step(config, directory.path)
    evaluate_benchmarks(config, directory, step)
    if config.evaluation.rare.prompts and not has_rare_answers(config, directory.path):
        answers = pq.read_table(rare.measure(config, directory.path, step)).to_pandas()
        directory.update_summary(
            rare={
                "step": step,
                "settings": asdict(config.evaluation.rare),
                "answers": len(answers),
                "delta_nll": float((answers["nll"] - answers["initial_nll"]).mean()),
            }
        )


def has_rare_answers(config: Config, path: Path) -> bool:
    """Whether the NLL of the rare answers that a config asks for is that of the evaluated checkpoint."""
    summary = read_summary(path)
    measured = summary.get("rare", {})
    wanted = {"step": summary.get("checkpoint_step"), "settings": asdict(config.evaluation.rare)}
    return {key: measured.get(key) for key in wanted} == wanted


def evaluate_benchmarks(config: Config, directory: RunDirectory, step: int) -> None:
    """Sample all benchmarks with a checkpoint and add pass@k to the summary."""
    summary = directory.read_summary()
    evaluation = config.evaluation
    wanted = {"step": step, "samples": evaluation.samples, "benchmarks": sorted(config.benchmark.tasks)}
    if summary.get("status") == "finished" and summary.get("evaluated") == wanted:
        return
    if (
        summary.get("evaluated", wanted)["step"] != step
        or summary.get("evaluated", wanted)["samples"] != evaluation.samples
    ):
        for stale in (directory.path / "evaluation").glob("*.parquet"):
            stale.unlink()
    with directory.timed("evaluation"):
        files = sample_checkpoint(config, directory, step)
    results = {name: benchmark_result(config, name, file) for name, file in files.items()}
    tracker = Tracker(config, directory.path)
    tracker.catch_up()
    tracker.log_evaluation(pass_at_k_rows(results))
    tracker.close()
    directory.update_summary(status="finished", evaluated=wanted, checkpoint_step=step, evaluation=results)


def sample_checkpoint(config: Config, directory: RunDirectory, step: int) -> dict[str, Path]:
    """All samples of a checkpoint; the file of each benchmark."""
    check_time(config)
    engine = open_engine(config, checkpoint_path(directory.path, step))

    def report(done: int, total: int) -> None:
        directory.report("evaluation", done, total)
        if done < total:
            check_time(config)

    with closing(engine):
        return sample_benchmarks(
            engine,
            benchmark_problems(config),
            samples=config.evaluation.samples,
            sampling=Sampling(**vars(config.evaluation.sampling)),
            seed=config.evaluation.seed + config.seed,
            folder=directory.path / "evaluation",
            samples_per_shard=config.evaluation.samples_per_shard,
            report=report,
        )


def pass_at_k_rows(results: dict[str, dict]) -> list[dict[str, Any]]:
    """pass@k of each benchmark, then the plain average over those of each domain, where it is known."""
    rows = [
        {"benchmark": name, "k": int(k), "value": value}
        for name, result in results.items()
        for k, value in result["pass@k"].items()
        if value is not None
    ]
    averages = []
    for domain in dict.fromkeys(result["domain"] for result in results.values()):
        of_domain = [name for name, result in results.items() if result["domain"] == domain]
        for k in dict.fromkeys(row["k"] for row in rows):
            values = [row["value"] for row in rows if row["k"] == k and row["benchmark"] in of_domain]
            if len(values) == len(of_domain):
                averages.append({"benchmark": domain, "k": k, "value": float(np.mean(values))})
    return rows + averages


def benchmark_result(config: Config, name: str, file: Path) -> dict:
    """Counts and mean pass@k of one benchmark, from its samples."""
    tally = counts(file)
    unscorable = {kind: int(tally[kind].sum()) for kind in tally.columns.drop(["n", "c"])}

    def mean_pass_at(k: int) -> float | None:
        """Over the problems with at least k scorable samples; None where there are none."""
        values = pass_at_k_of(tally, k)
        return float(np.mean(values)) if len(values) else None

    return {
        "domain": config.benchmark.tasks[name].domain,
        "problems": len(tally),
        "samples": config.evaluation.samples,
        "unscorable": {kind: count for kind, count in unscorable.items() if count},
        "pass@k": {str(k): mean_pass_at(k) for k in config.evaluation.k},
    }


def is_finished(config: Config, path: Path) -> bool:
    """Whether a run has been trained and evaluated as its config asks."""
    summary = read_summary(path)
    evaluated = summary.get("status") == "finished" and (
        not config.evaluation.rare.prompts or has_rare_answers(config, path)
    )
    return evaluated and summary.get("trained_steps") == config.training.steps
