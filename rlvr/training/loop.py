"""The training loop: sample, verify, take advantages, update, hand over the weights, log, save.

Everything random is a function of the seed and the step, so a run that goes on from a checkpoint
does what the unbroken run would have done.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rlvr.config import Config
from rlvr.curriculum import Curriculum
from rlvr.data import Group
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import RolloutEngine, Sampling
from rlvr.tracking.tracker import Tracker
from rlvr.training.accuracy_log import AccuracyRecord
from rlvr.training.batch import Batch, batch_metrics, make_batch, rollout_columns
from rlvr.training.checkpoint import save_checkpoint
from rlvr.training.distributed.data_parallel import DataParallelEngine
from rlvr.training.distributed.ranks import at_stage
from rlvr.training.flops import compute_metrics, parameter_count
from rlvr.training.learner import Learner
from rlvr.training.methods import Methods
from rlvr.training.rollout_log import RolloutRecord
from rlvr.verification import verify


def train(
    config: Config,
    *,
    run: Path,
    policy: Policy,
    engine: RolloutEngine,
    learner: Learner,
    methods: Methods,
    curriculum: Curriculum,
    tracker: Tracker,
    accuracy: AccuracyRecord,
    rollouts: RolloutRecord,
    first_step: int,
    on_step: Callable[[int], None] = lambda step: None,
    on_checkpoint: Callable[[int], None] = lambda step: None,
) -> None:
    """Train from `first_step` to `config.training.steps`, rollout batch by rollout batch.

    Steps count from 1; checkpoint `step-000000` is the policy before any update.
    """
    parameters = parameter_count(policy.model)
    for step in range(first_step, config.training.steps + 1):
        clock = Clock()

        groups, sampled = sample_and_verify(config, engine, curriculum, methods, step, clock)
        with clock.stage("advantage"):
            batch = make_batch(groups, config, methods)
        with clock.stage("update"):
            metrics = learner.update(batch)
        with clock.stage("handover"):
            engine.update_weights(policy.weights(), version=learner.updates)

        metrics |= batch_metrics(batch) | compute_metrics(parameters, sampled, batch, config)
        metrics |= curriculum.metrics() | {"curriculum/refills": len(sampled) / len(groups) - 1}
        accuracy.log(step, curriculum.epoch, sampled)
        curriculum.observe(sampled)
        methods.observe(rollout_columns(sampled, config))
        tracker.log(step, metrics, clock.timing(metrics) | engine_timing(engine))
        last_of_interval = step % config.training.checkpoint_every == 0 or step == config.training.steps
        if step == 1 or last_of_interval:
            rollouts.log(step, batch)
        if last_of_interval:
            save_checkpoint(run, step, policy, learner, curriculum, methods)
            on_checkpoint(step)
        on_step(step)


def sample_and_verify(
    config: Config,
    engine: RolloutEngine,
    curriculum: Curriculum,
    methods: Methods,
    step: int,
    clock: "Clock",
) -> tuple[list[Group], list[Group]]:
    """The verified groups to train on, and all that were sampled for them.

    With dynamic sampling, groups without signal are replaced. The refill is bounded (DAPO's is not):
    after `max_refills` further rounds the step goes on with the groups with signal it has, filled up with
    those without.
    """
    sampling = Sampling(**vars(config.training.sampling))
    dynamic = config.algorithm.dynamic_sampling
    wanted = config.training.prompts_per_step
    useful: list[Group] = []
    useless: list[Group] = []
    for round_ in range(1 + (dynamic.max_refills if dynamic.enabled else 0)):
        with clock.stage("sampling"):
            seed = (config.seed * 1_000_003 + step) * 101 + round_
            groups = engine.generate(curriculum.next_batch(), sampling, seed=seed)
        with clock.stage("verification"):
            verify(groups)
        if not dynamic.enabled:
            return groups, groups
        has_signal = signal(make_batch(groups, config, methods))
        useful += [group for group, keep in zip(groups, has_signal, strict=True) if keep]
        useless += [group for group, keep in zip(groups, has_signal, strict=True) if not keep]
        if len(useful) >= wanted:
            break
    return (useful + useless)[:wanted], useful + useless


def signal(batch: Batch) -> list[bool]:
    """For each group, whether any of its rollouts has an advantage."""
    flags = [False] * len(batch.groups)
    for group, advantage in zip(batch.group_index_R.tolist(), batch.advantage_R.tolist(), strict=True):
        flags[group] |= advantage != 0
    return flags


def engine_timing(engine: RolloutEngine) -> dict[str, float]:
    """What an engine of several ranks says of them."""
    return engine.timing() if isinstance(engine, DataParallelEngine) else {}


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

    def timing(self, metrics: dict[str, float]) -> dict[str, float]:
        total = time.perf_counter() - self.started
        return {
            **{f"seconds/{name}": value for name, value in self.seconds.items()},
            "seconds/step": total,
            "throughput/tokens_per_second": metrics["tokens/sampled"] / total,
        }
