"""One run from its config to its summary: train (or go on training), choose a checkpoint, evaluate it."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing as closed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from rlvr.config import Config, arm_name, run_directory
from rlvr.curriculum import build_curriculum
from rlvr.curriculum.lim import load_selection
from rlvr.curriculum.profile import load_profile, profile_file, weights_digest
from rlvr.data import Problem, Verdict
from rlvr.errors import UserError
from rlvr.evaluation import counts, pass_at_k, pass_at_k_of
from rlvr.evaluation.sampling import sample_benchmarks
from rlvr.files import step_lines
from rlvr.files.atomic import user_errors_for
from rlvr.files.run_directory import RunDirectory, fingerprint_of, read_summary
from rlvr.problems import ids_of, load_problems
from rlvr.problems.cleaning import overlap
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.runs import rare
from rlvr.tracking.tracker import Tracker
from rlvr.training.accuracy_log import AccuracyRecord
from rlvr.training.checkpoint import (
    checkpoint_path,
    damage_of,
    latest_checkpoint,
    load_state,
    save_checkpoint,
)
from rlvr.training.distributed.ranks import at_stage, follow, forget, joined, rank
from rlvr.training.loop import train
from rlvr.training.methods import Methods
from rlvr.training.rollout_log import RolloutRecord
from rlvr.training.setup import initial_policy, open_engine, open_training
from rlvr.verification import verify


def run(config: Config) -> Path:
    """Do what is left to do of a run; returns its directory. A finished run is not touched."""
    with joined():
        if rank() == 0:
            return lead(config)
        _settle(config)
        follow()
        return run_directory(config)


def _settle(config: Config) -> None:
    """What holds for the whole process."""
    torch.set_num_threads(config.training.threads)


def lead(config: Config) -> Path:
    """What rank 0 does of a run, and a single process all by itself."""
    directory = RunDirectory(config)
    try:
        _settle(config)
        with user_errors_for(directory.path):
            if directory.read_summary().get("trained_steps") != config.training.steps:
                with directory.timed("training"):
                    trainer_of(config)(config, directory)
            # verl's environment has other versions than the engines here: evaluated by a command of its own
            after_training = config.evaluation.after_training and config.backend.name == "native"
            if config.verb == "evaluate" or after_training:
                with at_stage("evaluation"):
                    evaluate_run(config, directory)
    except OutOfTime:
        pass  # what was done is kept, and the run goes on when it is started again
    finally:
        directory.close()
    return directory.path


def trainer_of(config: Config) -> Callable[[Config, RunDirectory], None]:
    """What trains: the loop of this package, or verl."""
    if config.backend.name == "native":
        return train_run
    from rlvr.backends.verl.launch import train_with_verl

    return train_with_verl


class OutOfTime(Exception):
    """The config's deadline is over."""


@contextmanager
def closing(engine: RolloutEngine) -> Iterator[None]:
    """Close the engine at the end of the block, also where time is up; any other error ends the process."""
    out_of_time = None
    try:
        yield
    except OutOfTime as reason:
        out_of_time = reason
    engine.close()
    forget()
    if out_of_time:
        raise out_of_time


def check_time(config: Config) -> None:
    if config.deadline is not None and time.time() >= config.deadline:
        raise OutOfTime


def benchmark_problems(config: Config, domain: str | None = None) -> dict[str, list[Problem]]:
    """The problems of each benchmark of the config, or of those of one domain."""
    return {
        name: list(load_problems(task, held_out=True))
        for name, task in config.benchmark.tasks.items()
        if domain in (None, task.domain)
    }


def train_run(config: Config, directory: RunDirectory) -> None:
    """Train from the last checkpoint to the end, with a validation at every checkpoint."""
    check_time(config)
    path = directory.path
    problems = load_problems(config.data, held_out=False)
    validation = Validation(config, path)
    shared = overlap(problems, validation.problems)
    directory.record_provenance(
        config,
        {config.data.name: fingerprint_of(ids_of(problems))},
        {name: len(ids) for name, ids in shared.items()},
    )
    profile, selection = load_profile(config, problems), load_selection(config, problems)
    torch.manual_seed(config.seed)
    found = latest_checkpoint(path)
    first_step = found[0] + 1 if found else 1
    if profile and not found:
        profile.check_policy(weights_digest(initial_policy(config).model), profile_file(config))
    curriculum = build_curriculum(config, problems, profile, selection)  # before anything that takes long
    methods = Methods(config)
    policy, engine, learner = open_training(config, found[1] if found else None)
    if found:
        curriculum.load_state_dict(load_state(found[1])["curriculum"])
        methods.load_state_dict(load_state(found[1])["methods"])
    tracker = Tracker(config, path)
    tracker.rewind(first_step - 1)
    accuracy = AccuracyRecord(path)
    accuracy.rewind(first_step - 1)
    rollouts = RolloutRecord(path, policy.tokenizer, config.credit)
    rollouts.rewind(first_step - 1)
    validation.rewind(first_step - 1)
    if not found:
        save_checkpoint(path, 0, policy, learner, curriculum, methods)
    last = first_step - 1
    if config.training.steps and is_checkpointed(config, last) and not validation.has(last):
        validation.measure(engine, last)

    def on_step(step: int) -> None:
        directory.report("training", step, config.training.steps)
        try:
            check_time(config)
        except OutOfTime:
            if not is_checkpointed(config, step):
                save_checkpoint(path, step, policy, learner, curriculum, methods)
            raise

    def on_checkpoint(step: int) -> None:
        validation.measure(engine, step)
        for folder in (path / "checkpoints").glob("step-*"):
            if not is_checkpointed(config, int(folder.name.removeprefix("step-"))):  # where time was up
                shutil.rmtree(folder, ignore_errors=True)

    directory.report("training", first_step - 1, config.training.steps)
    with closing(engine), closed(tracker):
        train(
            config,
            run=path,
            policy=policy,
            engine=engine,
            learner=learner,
            methods=methods,
            curriculum=curriculum,
            tracker=tracker,
            accuracy=accuracy,
            rollouts=rollouts,
            first_step=first_step,
            on_step=on_step,
            on_checkpoint=on_checkpoint,
        )
    seconds = directory.read_summary().get("seconds", {})
    directory.update_summary(
        experiment=config.experiment,
        arm=arm_name(config),
        seed=config.seed,
        scale=config.scale.name,
        status="trained",
        trained_steps=config.training.steps,
        optimizer_steps=learner.updates,
        tokens=totals(path, "tokens/", ("sampled", "trained")),
        flops={
            **totals(path, "compute/flops_", ("generated", "trained")),
            "profiling": profile.flops if profile else 0.0,
            "selection": selection.flops if selection else 0.0,
        },
        seconds=seconds | ({"profiling": profile.seconds} if profile else {}),
    )


def is_checkpointed(config: Config, step: int) -> bool:
    """Whether a run that nothing stops has a checkpoint at `step`, and, where it trains, a validation."""
    return step % config.training.checkpoint_every == 0 or step == config.training.steps


def totals(path: Path, prefix: str, names: Sequence[str]) -> dict[str, float]:
    """Sums of some metrics over all steps of a run."""
    steps = step_lines.read(path / "metrics.jsonl")
    return {name: sum(step[prefix + name] for step in steps) for name in names}


class Validation:
    """In-domain pass@k at every checkpoint, from a few samples a problem; a checkpoint is chosen by pass@1.

    `k` are those of `evaluation.k` that the samples allow.
    """

    def __init__(self, config: Config, path: Path):
        self.config = config
        self.file = path / "validation.jsonl"
        self.problems = benchmark_problems(config, "in_domain")

    def has(self, step: int) -> bool:
        return step in read_validation(self.file)

    def rewind(self, step: int) -> None:
        """Forget what was measured after `step`."""
        step_lines.rewind(self.file, step)

    def measure(self, engine: RolloutEngine, step: int) -> None:
        evaluation = self.config.evaluation
        sampling = Sampling(**vars(evaluation.sampling))
        samples = evaluation.validation_samples
        correct: dict[str, np.ndarray] = {}
        for name, problems in self.problems.items():
            with at_stage("validation"):
                groups = engine.generate(
                    [(problem, samples) for problem in problems],
                    sampling,
                    seed=evaluation.seed,
                )
                verify(groups)
            correct[name] = np.array([g.verdicts.count(Verdict.CORRECT) for g in groups])

        def average(k: int) -> float:
            values = [np.mean(pass_at_k(np.full_like(c, samples), c, k)) for c in correct.values()]
            return float(np.mean(values)) if values else 0.0

        scores = {name: float(np.mean(c / samples)) for name, c in correct.items()}
        averages = {"in_domain/pass@1": float(np.mean(list(scores.values()))) if scores else 0.0}
        averages |= {f"in_domain/pass@{k}": average(k) for k in evaluation.k if 1 < k <= samples}
        step_lines.append(self.file, step, averages | scores)


def read_validation(file: Path) -> dict[int, float]:
    """Average in-domain pass@1 by step."""
    return {line["step"]: line["in_domain/pass@1"] for line in step_lines.read(file)}


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
