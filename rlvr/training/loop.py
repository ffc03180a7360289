"""The training loop: sample, verify, take advantages, update, sync the weights, log.

Everything random is a function of the seed and the step, so a run that goes on from a checkpoint
does what the unbroken run would have done. Checkpoints and validation, between two steps, are the caller's.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rlvr.config import Config
from rlvr.curriculum import Curriculum
from rlvr.data import Group
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.training.batch import Batch, batch_metrics, make_batch, rollout_columns, signal
from rlvr.training.checkpoint import is_checkpointed
from rlvr.training.distributed.ranks import at_stage
from rlvr.training.flops import compute_metrics, frozen_count, parameter_count
from rlvr.training.learner import Learner
from rlvr.training.logs import RunLogs
from rlvr.training.methods import Methods
from rlvr.training.step_sampler import Stage, StepSampler
from rlvr.verification import verify
from rlvr.verification.grading import grade


def train(
    config: Config,
    policy: Policy,
    engine: RolloutEngine,
    learner: Learner,
    methods: Methods,
    curriculum: Curriculum,
    sampler: StepSampler,
    logs: RunLogs,
    first_step: int = 1,
) -> Iterator[int]:
    """Train from `first_step` to `config.training.steps`, rollout batch by rollout batch.

    Yields:
        Each step once it is done and logged. Steps count from 1.
    """
    parameters, frozen = parameter_count(policy.model), frozen_count(policy.model)
    for step in range(first_step, config.training.steps + 1):
        clock = Clock()

        groups, sampled, epoch, of_curriculum = sampler.take(step, clock.stage)
        with clock.stage("advantage"):
            batch = make_batch(groups, config, methods)
        ahead = Clock()
        with sampler.sampling_ahead(step + 1, ahead.stage), clock.stage("update"):
            if not sampler.overlap:
                engine.rest()
            metrics = learner.update(batch)
        clock.add(ahead)
        with clock.stage("weight_sync"):
            engine.update_weights(policy.weights(), version=learner.updates)

        metrics |= batch_metrics(batch, sampled) | compute_metrics(parameters, sampled, batch, config, frozen)
        metrics |= of_curriculum | {"curriculum/refills": len(sampled) / len(groups) - 1}
        timing = clock.timing(metrics) | engine.timing()
        logs.log(step, metrics=metrics, timing=timing, epoch=epoch, sampled=sampled)
        if step == 1 or is_checkpointed(config, step):
            logs.log_rollouts(step, batch)
        curriculum.observe(sampled)
        methods.observe(rollout_columns(sampled, config))
        yield step


def sample_and_verify(
    config: Config,
    engine: RolloutEngine,
    curriculum: Curriculum,
    methods: Methods,
    step: int,
    stage: Stage,
) -> tuple[list[Group], list[Group]]:
    """The verified groups to train on, and all that were sampled for them.

    With dynamic sampling, groups without signal (`dynamic_sampling.by`) are replaced by mixed ones. The
    refill is bounded (DAPO's is not): after `max_refills` further rounds the step goes on with the mixed
    groups it has, filled up with uniform ones.
    """
    sampling = Sampling(**vars(config.training.sampling))
    dynamic = config.algorithm.dynamic_sampling
    wanted = config.training.prompts_per_step
    mixed: list[Group] = []
    uniform: list[Group] = []
    for round_ in range(1 + (dynamic.max_refills if dynamic.enabled else 0)):
        with stage("sampling"):
            seed = sampling_seed(config.seed, step, round_)
            groups = engine.generate(curriculum.next_batch(), sampling, seed=seed)
        with stage("verification"):
            verify(groups)
            grade(groups, config.reward)
        if not dynamic.enabled:
            return groups, groups
        batch = make_batch(groups, config, methods)
        has_signal = is_mixed(batch) if dynamic.by == "correctness" else signal(batch)
        mixed += [group for group, keep in zip(groups, has_signal, strict=True) if keep]
        uniform += [group for group, keep in zip(groups, has_signal, strict=True) if not keep]
        if len(mixed) >= wanted:
            break
    return (mixed + uniform)[:wanted], mixed + uniform


def is_mixed(batch: Batch) -> list[bool]:
    """For each group, whether it has right and wrong rollouts; those that can't be judged are neither."""
    return [
        {0.0, 1.0} <= set(batch.correct_R[batch.group_index_R == group].tolist())
        for group in range(len(batch.groups))
    ]


def sampling_seed(seed: int, step: int, round_: int) -> int:
    """What a round of sampling draws with: another number for every seed, step and round (below 101)."""
    return (seed * 1_000_003 + step) * 101 + round_


class Clock:
    """Seconds by stage of one step."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        with at_stage(name):
            yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def add(self, other: "Clock") -> None:
        """Seconds of what went on beside this clock's stages; the step took no longer for them."""
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def timing(self, metrics: dict[str, float]) -> dict[str, float]:
        total = time.perf_counter() - self.started
        return {
            **{f"seconds/{name}": value for name, value in self.seconds.items()},
            "seconds/step": total,
            "throughput/tokens_per_second": metrics["tokens/sampled"] / total,
        }
