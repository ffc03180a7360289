"""Validation: in-domain pass@k at every checkpoint, from a few samples a problem."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rlvr.config import Config
from rlvr.config.schema import BenchmarkTaskConfig, EvaluationConfig
from rlvr.curriculum.lim import Selection
from rlvr.curriculum.profile import Profile
from rlvr.data import UNSCORABLE, Problem, Verdict
from rlvr.errors import UserError
from rlvr.evaluation.passk import pass_at_k
from rlvr.files import step_lines
from rlvr.files.run_directory import RunDirectory, fingerprint_of
from rlvr.files.shapes import NUMBERS
from rlvr.policy.location import HUB_ID, fetch, own_contents
from rlvr.problems import contents, ids_of, is_fixed, load_problems
from rlvr.problems.cleaning import overlap
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.verification import verify
from rlvr.verification.grading import grade, mean_reward

Benchmarks = dict[str, list[Problem]]  # by name
VALIDATION_SEED = 1_000_000  # added to a benchmark's own


def benchmark_problems(config: Config, domain: str | None = None) -> Benchmarks:
    """The problems of each benchmark of the config, or of those of one domain."""
    return {
        name: list(load_problems(task, held_out=True))
        for name, task in config.benchmark.tasks.items()
        if domain in (None, task.domain)
    }


def validation_problems(config: Config, benchmarks: Benchmarks) -> Benchmarks:
    """The problems that choose a checkpoint, for each benchmark in domain.

    With `evaluation.select_on=validation` as many as the benchmark has, drawn as those were with another
    seed, and none that is in any benchmark in domain; those of a fixed list are its own.

    Args:
        benchmarks: all problems of those in domain, at least.
    """
    tasks = {name: task for name, task in config.benchmark.tasks.items() if task.domain == "in_domain"}
    if config.evaluation.select_on == "test":
        return {name: benchmarks[name] for name in tasks}
    reported = {key for name in tasks for problem in benchmarks[name] for key in _keys(problem)}
    return {
        name: benchmarks[name] if is_fixed(task) else _others(task, reported) for name, task in tasks.items()
    }


def _others(task: BenchmarkTaskConfig, reported: set[str]) -> list[Problem]:
    size = task.size or 0
    wider = replace(task, size=2 * size, seed=task.seed + VALIDATION_SEED)
    drawn = load_problems(wider, held_out=True)
    others = [problem for problem in drawn if reported.isdisjoint(_keys(problem))]
    if len(others) < size:
        raise UserError(
            f"evaluation.select_on=validation: {task.source} has only {len(others)} problems beside the "
            f"{size} of benchmark {task.name}; accepted are a smaller benchmark.tasks.{task.name}.size, and "
            "evaluation.select_on=test, which chooses checkpoints on the benchmark's own"
        )
    return others[:size]


def _keys(problem: Problem) -> tuple[str, str]:
    """What two equal problems have one of: an id may hold the seed, and a question is put in several ways."""
    return problem.id, problem.prompt[-1]["content"]


def record_data(
    config: Config,
    directory: RunDirectory,
    problems: Sequence[Problem],
    in_domain: Benchmarks,
    selection: Selection | None,
    profile: Profile | None = None,
    *,
    resumed: bool,
) -> None:
    """Keep in a run's provenance what it starts from, and is trained and validated on.

    See `RunDirectory.record_provenance`.

    Args:
        in_domain: the problems of the benchmarks that it is validated on.
        selection, profile: what decides which problems come next and in which phase, where there is one.
        resumed: whether training goes on; then they have to be what it was trained with so far.
    """
    if config.backend.name == "native" and HUB_ID.fullmatch(config.model.path):
        fetch(config.model)  # so that it is known which commit that is
    # problems that are drawn are a function of the config, which is held against the run's already
    sets = {config.data.name: problems} | {f"benchmark {name}": read for name, read in in_domain.items()}
    chosen_by = {"the selection": selection, "the profile": profile}
    directory.record_provenance(
        config,
        {config.data.name: fingerprint_of(ids_of(problems))},
        {name: len(ids) for name, ids in overlap(problems, in_domain).items()},
        contents=contents(sets)
        | {name: one.fingerprint() for name, one in chosen_by.items() if one}
        | own_contents(config.model),
        resumed=resumed,
    )


def validate(
    engine: RolloutEngine,
    benchmarks: Mapping[str, Sequence[Problem]],
    evaluation: EvaluationConfig,
    reward: Any = None,
) -> dict[str, float]:
    """Success rate of each benchmark, after their plain averages as `in_domain/pass@<k>`.

    `k` are those of `evaluation.validated_k`. As in an evaluation, samples that nothing can be judged of are
    left out, then problems without k others, then benchmarks without such problems, and then the average, so
    that a step may come without it. With a graded `reward` (the config's), its average is `in_domain/reward`.
    """
    samples = evaluation.validation_samples
    counts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    rewards: list[float | None] = []
    for name, problems in benchmarks.items():
        groups = engine.generate(
            [(problem, samples) for problem in problems],
            Sampling(**vars(evaluation.sampling)),
            seed=evaluation.seed,
        )
        verify(groups)
        grade(groups, reward)
        if groups[0].rewards:
            rewards.append(mean_reward(groups))
        scorable = [sum(verdict not in UNSCORABLE for verdict in group.verdicts) for group in groups]
        correct = [group.verdicts.count(Verdict.CORRECT) for group in groups]
        counts[name] = np.array(scorable), np.array(correct)

    averages, scores = in_domain_scores(counts, evaluation.validated_k)
    if not benchmarks:
        averages["in_domain/pass@1"] = 0.0
    if rewards and None not in rewards:
        averages["in_domain/reward"] = float(np.mean(rewards))
    return averages | scores


def in_domain_scores(
    counts: Mapping[str, tuple[np.ndarray, np.ndarray]], ks: Sequence[int]
) -> tuple[dict[str, float], dict[str, float]]:
    """Averages over benchmarks as `in_domain/pass@<k>`, and the success rate of each; what is left out of
    them says `validate`.

    Args:
        counts: by benchmark, scorable answers and right ones of each problem.
    """

    def average(k: int) -> float | None:
        values = [np.mean(pass_at_k(n[n >= k], c[n >= k], k)) for n, c in counts.values() if (n >= k).any()]
        return float(np.mean(values)) if values else None

    scores = {name: float(np.mean(c[n > 0] / n[n > 0])) for name, (n, c) in counts.items() if n.any()}
    averages = {"in_domain/pass@1": float(np.mean(list(scores.values())))} if scores else {}
    further = {f"in_domain/pass@{k}": average(k) for k in ks if k > 1}
    return averages | {name: value for name, value in further.items() if value is not None}, scores


def read_validation(file: Path, k: int = 1) -> dict[int, float | None]:
    """Average in-domain pass@k by step; None where it could not be judged, or was not measured."""
    return {line["step"]: line.get(f"in_domain/pass@{k}") for line in step_lines.read(file, shape=NUMBERS)}


def measured_k(file: Path) -> list[int]:
    """The k for which any step of a validation has the average pass@k, ascending."""
    names = {name for line in step_lines.read(file, shape=NUMBERS) for name in line}
    found = (name.removeprefix("in_domain/pass@") for name in names)
    return sorted(int(k) for k in found if k.isdecimal())
