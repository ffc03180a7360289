"""Evaluation of a run: choose a checkpoint, sample every benchmark with it, add pass@k to the summary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from rlvr.config import Config, fingerprint
from rlvr.data import Problem
from rlvr.errors import UserError, closest, say
from rlvr.evaluation import counts, pass_at_k_of
from rlvr.evaluation.results import mean_rewards_of
from rlvr.evaluation.samples_key import key_name, samples_key
from rlvr.evaluation.sampling import key_of, sample_benchmarks
from rlvr.evaluation.validation import Benchmarks, benchmark_problems, measured_k, read_validation
from rlvr.files.run_directory import RunDirectory, damaged_files, read_summary
from rlvr.files.run_files import ANSWERS, LAST
from rlvr.rollout.engine import EngineWhenNeeded, RolloutEngine, Sampling
from rlvr.rollout.lengths import longest_sequence
from rlvr.runs import rare
from rlvr.runs.deadline import check_time, closing
from rlvr.runs.weights import digests_of, weights_of
from rlvr.tracking.tracker import Tracker
from rlvr.training.checkpoint import checkpoint_path, damage_of, read_manifest
from rlvr.training.setup import open_engine
from rlvr.verification.grading import is_graded


def chosen_step(config: Config, path: Path) -> int:
    """The checkpoint with the best average in-domain pass@1, the earliest of equals (F-GRPO, App. L.2).

    With `evaluation.select_by` the best by pass@k of that k. With `evaluation.latest_step`, among those up to
    it: a focal arm has no more compute than its baseline. With `evaluation.checkpoint=last` the last of them,
    whatever its pass@k. A run without training has one checkpoint, and no validation. A damaged one is passed
    over, see `choose`.
    """
    return choose(config, path)[0]


def ranked_steps(config: Config, path: Path) -> list[int]:
    """The steps that may be evaluated, the first choice first; none where nothing could be judged at any."""
    scores = scores_of_steps(config, path)
    if config.evaluation.checkpoint == "last":
        return sorted(scores, reverse=True)
    judged = {step: score for step, score in scores.items() if score is not None}
    return sorted(judged, key=lambda step: (-judged[step], step))


def scores_of_steps(config: Config, path: Path) -> dict[int, float | None]:
    """What validation gave the steps that may be evaluated, by pass@k of `evaluation.select_by`; None where
    it could not be judged."""
    latest, by = config.evaluation.latest_step, config.evaluation.select_by
    scores = read_validation(path / "validation.jsonl", by) if config.training.steps else {0: 0.0}
    return {
        step: score
        for step, score in scores.items()
        if (latest is None or step <= latest) and (step > 0 or config.training.steps == 0 or latest == 0)
    }


def damage_at(config: Config, path: Path, step: int) -> str | None:
    """What is wrong with the weights of a step, or None."""
    weights = weights_of(config, path, step)
    return damage_of(weights) if weights else None


def choose(config: Config, path: Path) -> tuple[int, dict[int, str]]:
    """The step to evaluate, and {step: damage} of the checkpoints that would be, were they whole."""
    damages = {}
    for step in ranked_steps(config, path):
        folder = checkpoint_path(path, step)
        if config.training.steps and config.checkpoint.keep is not None and not folder.exists():
            raise UserError(
                f"{folder} is the one to evaluate, and checkpoint.keep={config.checkpoint.keep} removed it: "
                "accepted are the evaluation.checkpoint, evaluation.latest_step and evaluation.select_by "
                "that it was trained with"
            )
        if (damage := damage_at(config, path, step)) is None:
            return step, damages
        damages[step] = damage
    if not damages and scores_of_steps(config, path):
        by = config.evaluation.select_by
        if (measured := measured_k(path / "validation.jsonl")) and by not in measured:
            raise UserError(
                f"evaluation.select_by={by}: the validation of {path} has no pass@{by}; accepted is one of "
                f"{', '.join(map(str, measured))}, the nearest valid choice is {closest(by, measured)}"
            )
        raise UserError(
            f"{path} has no checkpoint with a pass@{by}, because no answer to the in-domain benchmarks could "
            "be judged: choose others with benchmark=, or the last checkpoint with evaluation.checkpoint=last"
        )
    latest = config.evaluation.latest_step
    limit = "" if latest is None else f" up to step {latest}"
    raise UserError(f"{path} has no whole checkpoint{limit} that was validated: train it first")


def evaluate_run(config: Config, directory: RunDirectory, engine: RolloutEngine | None = None) -> None:
    """Do what is left to do of the evaluation of the chosen checkpoint.

    Args:
        engine: see `CheckpointSampler`.
    """
    path, problems = directory.path, benchmark_problems(config)
    first_choice = next(iter(ranked_steps(config, path)), None)
    if is_finished(config, path, problems) and read_summary(path)["checkpoint_step"] == first_choice:
        return  # also where that checkpoint has been damaged since
    sampler = CheckpointSampler(config, directory, problems, engine)
    with closing(sampler):
        step, damages = choose(config, path)
        for damaged, damage in damages.items():
            where = checkpoint_path(path, damaged)
            say(f"{where}, the better one, is damaged ({damage}): evaluating step {step} instead")
        named = {str(damaged): text for damaged, text in damages.items()}
        evaluate_benchmarks(config, directory, step, named, sampler)
        if not is_last_measured(config, path, problems):
            evaluate_last(config, directory, sampler)
    if config.evaluation.rare.prompts and not has_rare_answers(config, directory.path):
        file = rare.measure(config, directory.path, step)
        answers = pq.read_table(file).to_pandas()
        directory.update_summary(
            rare={
                "step": step,
                "settings": asdict(config.evaluation.rare),
                "set": rare.set_name(config, directory.path),
                "answers": len(answers),
                "delta_nll": float((answers["nll"] - answers["initial_nll"]).mean()),
            }
        )
        directory.record_files(str(file.relative_to(directory.path)))
    directory.write_config(config)


def evaluate_last(config: Config, directory: RunDirectory, sampler: "CheckpointSampler") -> None:
    """Sample all benchmarks with the last checkpoint, beside what the chosen one answered."""
    step = config.training.steps
    evaluated = what_is_evaluated(config, directory.path, step, {}, sampler.problems)
    results = sampler.results(step, LAST)
    directory.update_summary(last={"evaluated": evaluated, "evaluation": results})


def is_last_measured(config: Config, path: Path, problems: Benchmarks) -> bool:
    """Whether nothing is left to do of the last checkpoint: not asked for, done, or the chosen one."""
    step, summary = config.training.steps, read_summary(path)
    if not config.evaluation.last_too or step == summary["checkpoint_step"]:
        return True
    if damage_at(config, path, step):
        return True  # its better one was chosen, or this would have been said
    wanted = what_is_evaluated(config, path, step, {}, problems)
    return summary.get("last", {}).get("evaluated") == wanted and not damaged_files(path, f"{LAST}/*.parquet")


def has_rare_answers(config: Config, path: Path) -> bool:
    """Whether the NLL of the rare answers that a config asks for is that of the evaluated checkpoint."""
    summary = read_summary(path)
    measured = summary.get("rare", {})
    wanted = {"step": summary.get("checkpoint_step"), "settings": asdict(config.evaluation.rare)}
    if read_manifest(checkpoint_path(path, 0)):  # else no set could be drawn
        wanted["set"] = rare.set_name(config, path)
    lost = damaged_files(path, f"evaluation/{ANSWERS}.parquet")
    return not lost and {key: measured.get(key) for key in wanted} == wanted


def sampling_settings(config: Config, weights: Path | None) -> dict[str, Any]:
    """The arguments of `sample_benchmarks` that decide what is sampled."""
    evaluation, model = config.evaluation, config.model
    engine_args = getattr(config.rollout, "engine_args", None)  # vLLM's, a quantization among them
    return {
        "samples": evaluation.samples,
        "sampling": Sampling(**vars(evaluation.sampling)),
        "seed": evaluation.seed + config.seed,
        "samples_per_shard": evaluation.samples_per_shard,
        "made_with": {
            **({"reward": asdict(config.reward)} if is_graded(config.reward) else {}),
            "weights": fingerprint(digests_of(config, weights)),
            "model": {
                "dtype": model.dtype,
                "end_tokens": model.end_tokens,
                "stop_strings": model.stop_strings,
                "prompts": fingerprint({name: asdict(prompt) for name, prompt in model.prompts.items()}),
                **({"chat_template": fingerprint(model.chat_template)} if model.chat_template else {}),
            },
            "engine": config.rollout.name,
            "precision": config.training.precision,
            **({"engine_args": engine_args} if engine_args else {}),
        },
    }


def what_is_evaluated(
    config: Config, path: Path, step: int, damages: dict[str, str], problems: Benchmarks
) -> dict[str, Any]:
    """What a summary's results are the results of: compared with what is asked for, by its digests."""
    settings = sampling_settings(config, weights_of(config, path, step))
    return {
        "step": step,
        "checkpoint": config.evaluation.checkpoint,
        **({"select_by": by} if (by := config.evaluation.select_by) != 1 else {}),
        "damaged": damages,
        "k": config.evaluation.k,
        "domains": {name: task.domain for name, task in config.benchmark.tasks.items()},
        "benchmarks": {name: key_name(samples_key(name, problems[name], **settings)) for name in problems},
    }


def evaluate_benchmarks(
    config: Config,
    directory: RunDirectory,
    step: int,
    damages: dict[str, str],
    sampler: "CheckpointSampler",
) -> None:
    """Sample all benchmarks with a checkpoint and add pass@k to the summary.

    Args:
        damages: of the checkpoints that would have been evaluated rather than this one, by step.
    """
    summary = directory.read_summary()
    wanted = what_is_evaluated(config, directory.path, step, damages, sampler.problems)
    lost = damaged_files(directory.path, "evaluation/*.parquet")
    if summary.get("status") == "finished" and summary.get("evaluated") == wanted and not lost:
        return
    for name, damage in lost.items():
        say(f"{directory.path / name} {damage}: measuring it again")
        file = directory.path / name
        if (key := key_of(file)) and key_name(key) in summary["evaluated"]["benchmarks"].values():
            file.unlink()  # damaged; samples of another evaluation are set aside
    results = sampler.results(step, "evaluation")
    tracker = Tracker(config, directory.path)
    tracker.catch_up()
    tracker.log_evaluation(pass_at_k_rows(results), pass_at_k_rows(summary.get("evaluation", {})))
    tracker.close()
    new = {"evaluated": wanted, "checkpoint_step": step, "evaluation": results}
    if "last" in summary:  # of the evaluation before, drawn in another way maybe; its samples can be taken up
        new["last"] = {}
    directory.update_summary(status="finished", **new)


@dataclass
class CheckpointSampler:
    """Samples all benchmarks with checkpoints of a run, all of them with one engine.

    Attributes:
        engine: what training left, to be taken over; made for the first samples, if there is none.
    """

    config: Config
    directory: RunDirectory
    problems: Benchmarks
    engine: RolloutEngine | None

    def results(self, step: int, folder: str) -> dict[str, dict]:
        """What each benchmark came to at a checkpoint, from all samples of it in a folder of the run."""
        config, path = self.config, self.directory.path
        with self.directory.timed("evaluation"):
            check_time()
            say_if_greedy(config, "samples")
            weights = weights_of(config, path, step)
            files = sample_benchmarks(
                EngineWhenNeeded(lambda: self._open(weights)),
                self.problems,
                folder=path / folder,
                report=self._report,
                reward=config.reward,
                **sampling_settings(config, weights),
            )
        self.directory.record_files(*(f"{folder}/{file.name}" for file in files.values()))
        return {name: benchmark_result(config, name, file) for name, file in files.items()}

    def _open(self, weights: Path | None) -> RolloutEngine:
        sequence = lengths_in(self.config, None, self.problems)
        self.engine = open_engine(self.config, weights, sequence, self.engine)
        return self.engine

    def _report(self, done: int, total: int) -> None:
        self.directory.report("evaluation", done, total)
        if done < total:
            check_time()

    def close(self) -> None:
        if self.engine:
            self.engine.close()


def lengths_in(
    config: Config, training: Sequence[Problem] | None = None, *benchmarks: Benchmarks
) -> int | None:
    """`longest_sequence` of training problems and benchmarks, in a completion of the length of each."""
    evaluated = [problems for of_name in benchmarks for problems in of_name.values()]
    asked = [
        (problems, getattr(config, part).sampling.max_tokens, f"{part}.sampling.max_tokens")
        for part, several in (("training", [training or []]), ("evaluation", evaluated))
        for problems in several
    ]
    return longest_sequence(config.model, asked, exact=config.rollout.name == "vllm")


def say_if_greedy(config: Config, key: str) -> None:
    """Say that several samples of a problem are pointless where all of them will be one and the same."""
    evaluation = config.evaluation
    if evaluation.sampling.temperature == 0 and (samples := getattr(evaluation, key)) > 1:
        say(
            f"evaluation.sampling.temperature=0 is greedy decoding: the {samples} samples of a problem are "
            f"one and the same, so evaluation.{key}=1 says as much"
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

    rewards = mean_rewards_of(file)
    return {
        **({"reward": float(rewards.mean())} if len(rewards) else {}),
        "domain": config.benchmark.tasks[name].domain,
        "problems": len(tally),
        "samples": config.evaluation.samples,
        "unscorable": {kind: count for kind, count in unscorable.items() if count},
        "pass@k": {str(k): mean_pass_at(k) for k in config.evaluation.k},
    }


def is_finished(config: Config, path: Path, problems: Benchmarks | None = None) -> bool:
    """Whether a run has been trained and evaluated as its config asks, and its files are as it left them.

    Args:
        problems: of its benchmarks; read where they are needed, if none are given.
    """
    summary = read_summary(path)
    if summary.get("status") != "finished" or summary.get("trained_steps") != config.training.steps:
        return False
    evaluated = summary.get("evaluated", {})
    problems = benchmark_problems(config) if problems is None else problems
    damages = evaluated.get("damaged", {})
    wanted = what_is_evaluated(config, path, summary["checkpoint_step"], damages, problems)
    if evaluated != wanted or damaged_files(path, "evaluation/*.parquet"):
        return False
    if not is_last_measured(config, path, problems):
        return False
    return not config.evaluation.rare.prompts or has_rare_answers(config, path)
