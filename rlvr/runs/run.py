"""One run from its config to its summary: train (or go on training), choose a checkpoint, evaluate it."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing as closing_at_end
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch

from rlvr.config import Config, arm_name, run_directory
from rlvr.curriculum import Curriculum, build_curriculum
from rlvr.curriculum.lim import Selection, load_selection, needs_selection, read_selection
from rlvr.curriculum.profile import Profile, load_profile, needs_profile, profile_file, read_profile
from rlvr.data import Problem
from rlvr.errors import UserError, say
from rlvr.evaluation.samples_key import judging
from rlvr.evaluation.validation import (
    Benchmarks,
    benchmark_problems,
    record_data,
    validate,
    validation_problems,
)
from rlvr.files import step_lines
from rlvr.files.atomic import user_errors_for
from rlvr.files.run_directory import RunDirectory, check_files, refuse_other
from rlvr.files.shapes import NUMBERS
from rlvr.policy.location import own_contents
from rlvr.policy.policy import Policy
from rlvr.policy.prompts import brings_system
from rlvr.policy.weights import weights_digest
from rlvr.problems import LazyProblems, contents, load_problems
from rlvr.rollout.engine import RolloutEngine
from rlvr.runs.cautions import cautions
from rlvr.runs.deadline import OutOfTime, check_time, closing, stoppable
from rlvr.runs.evaluate import evaluate_run, lengths_in, say_if_greedy
from rlvr.runs.profile import profile
from rlvr.runs.rare import draw
from rlvr.runs.retention import remove_unneeded
from rlvr.runs.start import Start
from rlvr.runs.weights import contents_of_base
from rlvr.training.checkpoint import (
    Checkpoint,
    checkpoints,
    is_checkpointed,
    latest_checkpoint,
    load_state,
    save_checkpoint,
)
from rlvr.training.distributed.ranks import at_stage, process_group, rank, serve_rank_zero, world_size
from rlvr.training.learner import Learner
from rlvr.training.logs import RunLogs
from rlvr.training.loop import sample_and_verify, train
from rlvr.training.methods import Methods
from rlvr.training.setup import (
    configure_process,
    initial_policy,
    open_training,
    outlives_training,
    overlaps,
)
from rlvr.training.step_sampler import StepSampler


def run(config: Config, start: Start = Start()) -> Path:
    """Do what is left to do of a run, or of what it shares with others; returns the run's directory. A
    finished one is not touched.

    Raises:
        Stopped: once a signal has asked for the end, and all that was done is kept.
    """
    configure_process(config)  # before the group of several, which begins CUDA
    path = run_directory(config)
    with process_group(), stoppable(start.deadline), suppress(OutOfTime):  # what was done is kept
        if rank() > 0:
            serve_rank_zero()
        elif start.makes == "profile":
            profile(config)
        elif start.makes == "rare":
            draw(config, path)
        else:
            run_on_rank_zero(config, start)
    return path


def run_on_rank_zero(config: Config, start: Start) -> None:
    """Train and evaluate; what takes all ranks is marked `on_every_rank` where it is defined."""
    directory = RunDirectory(config, start.command)
    engine = None
    try:
        with user_errors_for(directory.path):
            if directory.read_summary().get("trained_steps") != (steps := config.training.steps):
                if start.evaluate and steps:
                    say(f"{directory.path} has not been trained to step {steps}: that comes first")
                with directory.timed("training"):
                    engine = trainer_of(config)(config, directory)
            else:
                files = contents_of_base(config) if start.evaluate else contents_behind_paths(config)
                refuse_other(directory.path, "contents", files)
            check_files(directory.path, "*.jsonl")
            if start.evaluate or evaluates_after_training(config):
                with at_stage("evaluation"):
                    evaluate_run(config, directory, engine)
    finally:
        directory.close()


def contents_behind_paths(config: Config) -> dict[str, str]:
    """Fingerprints of what a run is made of and lies in files, which may be others by now.

    Files that are gone are left out: a trained run needs none of them.
    """
    found = own_contents(config.model) if config.training.steps else {}
    files = [Path(part.path) for part in (config.data, *config.data.parts.values()) if part.path]
    if files and all(file.exists() for file in files):
        found |= contents({config.data.name: load_problems(config.data, held_out=False)})
    if needs_selection(config) and (file := Path(config.curriculum.selection or "")).is_file():
        found["the selection"] = read_selection(file).fingerprint()
    if needs_profile(config) and (file := profile_file(config)).is_file():
        found["the profile"] = read_profile(file).fingerprint()
    return found


def evaluates_after_training(config: Config) -> bool:
    """verl's environment has other versions than the engines here: evaluated by a command of its own."""
    return config.evaluation.after_training and config.backend.name == "native"


def trainer_of(config: Config) -> Callable[[Config, RunDirectory], RolloutEngine | None]:
    """What trains: the loop of this package, or verl.

    Raises:
        UserError: for verl in several processes, which would each be one of verl's workers to it.
    """
    if config.backend.name == "native" or not config.training.steps:
        return train_run
    if world_size() > 1:
        raise UserError(
            f"backend=verl in {world_size()} processes, by gpus_per_run= or torchrun: accepted is one, since "
            "verl starts its own, as backend.nodes and backend.gpus_per_node say"
        )
    from rlvr.backends.verl.launch import train_with_verl

    return partial(train_with_verl, check_time=check_time)


def train_run(config: Config, directory: RunDirectory) -> RolloutEngine | None:
    """Train from the last checkpoint to the end, with a validation at every checkpoint.

    Without a step to take nothing is opened or copied: what is evaluated is the model itself.

    Returns:
        The engine, where the evaluation after training can sample with it; closed otherwise.
    """
    check_time()
    path, steps = directory.path, config.training.steps
    data = load_data(config, directory)
    if steps == 0 and not config.evaluation.rare.prompts:  # the set of rare answers is named by a checkpoint
        write_training_summary(config, directory, 0, data)
        return None
    say_if_greedy(config, "validation_samples")
    for caution in cautions(config):
        say(caution)
    torch.manual_seed(config.seed)
    found = checkpoint_to_go_on_from(config, path)
    policy, engine, state = open_run(config, data, found.path if found else None)
    directory.begin_training(config)
    save = partial(save_checkpoint, path, policy=policy, **state)
    done = found.step if found else 0
    keep = evaluates_after_training(config) and outlives_training(config)
    with closing(engine, keep=keep), closing_at_end(RunLogs(config, path, policy.tokenizer)) as logs:
        logs.rewind(done, found.logs if found else {})
        if not found:
            save(0)
        if steps and is_checkpointed(config, done):
            log_validation(config, logs, done, engine, data)
        remove_unneeded(config, path, done)
        directory.report("training", done, steps)
        saved, saved_at = done, time.monotonic()
        training = train(config, policy, engine, **state, logs=logs, first_step=done + 1)
        for step in training:
            directory.check_lock()
            if is_checkpointed(config, step):
                logs.forget_rollouts(unscheduled(config, path))
            if is_checkpointed(config, step) or is_due(config, saved_at):
                save(step)
                saved, saved_at = step, time.monotonic()
                remove_unneeded(config, path, step)
            directory.report("training", step, steps)
            try:
                check_time()  # before a validation, which may take longer than what is left
            except OutOfTime:
                if saved != step:
                    save(step)
                raise
            if is_checkpointed(config, step):
                log_validation(config, logs, step, engine, data)
                remove_unneeded(config, path, step)
    remove_unneeded(config, path, steps, trained=True)
    write_training_summary(config, directory, state["learner"].updates, data)
    return engine if keep else None


def checkpoint_to_go_on_from(config: Config, path: Path) -> Checkpoint | None:
    """None at the start of a run.

    Raises:
        UserError: where there are checkpoints and none is it, so that a run is not begun anew in silence.
    """
    found, keep = latest_checkpoint(path, config.training.steps), config.checkpoint.keep
    if not found and checkpoints(path) and keep is not None:
        raise UserError(
            f"{path} has no checkpoint to go on from: checkpoint.keep={keep} leaves the optimizer's state in "
            "the last one alone. Train anew with another arm=, or remove that folder"
        )
    return found


class TrainingData(NamedTuple):
    """All that a run reads before it opens a policy.

    Attributes:
        validation: by in-domain benchmark, the problems that checkpoints are validated on.
        benchmarks: what is evaluated after training, read now so that what is wrong with it is said before.
        profile: success rates of the initial policy, where curriculum or group size need them.
        selection: the problems to train on, where the curriculum reads them from a file.
    """

    problems: Sequence[Problem]
    validation: Benchmarks
    benchmarks: Benchmarks
    profile: Profile | None
    selection: Selection | None


def load_data(config: Config, directory: RunDirectory) -> TrainingData:
    """Read the data, and record in the run's provenance what it is."""
    problems = load_problems(config.data, held_out=False)
    domain = None if evaluates_after_training(config) else "in_domain"
    benchmarks = benchmark_problems(config, domain)
    validation = validation_problems(config, benchmarks)
    in_domain = {name: benchmarks[name] for name in validation}
    say_what_surrounds(config, [problems, *benchmarks.values()])
    profile, selection = load_profile(config, problems), load_selection(config, problems)
    resumed = bool(checkpoints(directory.path))
    record_data(config, directory, problems, in_domain, selection, profile, resumed=resumed)
    return TrainingData(problems, validation, benchmarks, profile, selection)


def say_what_surrounds(config: Config, sets: Sequence[Sequence[Problem]]) -> None:
    """Say what `model=local` puts before problems, since nobody wrote it down for that model, and where a
    system message of the data goes before that of a model."""
    prompts = config.model.prompts
    several = (problems[:1] if isinstance(problems, LazyProblems) else problems for problems in sets)
    kinds = {(problem.verifier, brings_system(problem)) for problems in several for problem in problems}
    for verifier, own in sorted(kinds):
        system = prompts[verifier].system if verifier in prompts else None
        if system and own:
            say(
                f"problems judged by {verifier} that bring a system message keep it: {system!r}, of "
                f"model={config.model.name}, is not asked of them"
            )
        elif system and config.model.name == "local":
            say(
                f"model=local: before each problem judged by {verifier} stands {system!r}; "
                f"model.prompts.{verifier}.system=null takes it out"
            )


class State(TypedDict):
    """What changes in training beside the policy's weights, and is in every checkpoint."""

    learner: Learner
    curriculum: Curriculum
    methods: Methods
    sampler: StepSampler


def open_run(
    config: Config, data: TrainingData, checkpoint: Path | None
) -> tuple[Policy, RolloutEngine, State]:
    """All that changes in training, as it is at a checkpoint, or at the start where there is none."""
    if data.profile and not checkpoint:
        data.profile.check_judging(judging(data.problems), config)
        digest = weights_digest(initial_policy(config).model)
        data.profile.check_policy(digest, own_contents(config.model), config)
    # before the policies, which take long
    curriculum = build_curriculum(config, data.problems, data.profile, data.selection)
    methods = Methods(config)
    sequence = lengths_in(config, data.problems, data.benchmarks, data.validation)
    policy, engine, learner = open_training(config, checkpoint, sequence)
    sampler = StepSampler(
        config,
        curriculum,
        partial(sample_and_verify, config, engine, curriculum, methods),
        overlap=overlaps(config),
    )
    if checkpoint:
        state = load_state(checkpoint, mapped=True)  # the learner has its part already
        curriculum.load_state_dict(state["curriculum"])
        methods.load_state_dict(state["methods"])
        sampler.load_state_dict(state.get("ahead"))
    return policy, engine, State(learner=learner, curriculum=curriculum, methods=methods, sampler=sampler)


def log_validation(
    config: Config, logs: RunLogs, step: int, engine: RolloutEngine, data: TrainingData
) -> None:
    with at_stage("validation"):
        logs.log_validation(step, validate(engine, data.validation, config.evaluation, config.reward))


def is_due(config: Config, saved_at: float) -> bool:
    """Whether `checkpoint.every_minutes` are over since a `time.monotonic()`."""
    minutes = config.checkpoint.every_minutes
    return minutes is not None and time.monotonic() >= saved_at + 60 * minutes


def unscheduled(config: Config, path: Path) -> set[int]:
    """Steps of checkpoints saved where time was up, or where the run ended before it was given more."""
    return {step for step, _ in checkpoints(path) if step > 1 and not is_checkpointed(config, step)}


def write_training_summary(
    config: Config, directory: RunDirectory, optimizer_steps: int, data: TrainingData
) -> None:
    """What the training was and what it took, in summary.json; with digests of the logs that say so."""
    step_lines.check_steps(directory.path / "metrics.jsonl", config.training.steps)
    directory.record_files(*(f"{name}.jsonl" for name in RunLogs.FILES))
    seconds = directory.read_summary().get("seconds", {})
    profile, selection = data.profile, data.selection
    directory.update_summary(
        experiment=config.experiment,
        arm=arm_name(config),
        seed=config.seed,
        scale=config.scale.name,
        status="trained",
        trained_steps=config.training.steps,
        optimizer_steps=optimizer_steps,
        tokens=totals(directory.path, "tokens/", ("sampled", "trained")),
        flops={
            **totals(directory.path, "compute/flops_", ("generated", "trained")),
            "profiling": profile.flops if profile else 0.0,
            "selection": selection.flops if selection else 0.0,
        },
        seconds=seconds | ({"profiling": profile.seconds} if profile else {}),
    )


def totals(path: Path, prefix: str, names: Sequence[str]) -> dict[str, float]:
    """Sums of some metrics over all steps of a run."""
    steps = step_lines.read(path / "metrics.jsonl", shape=NUMBERS)
    return {name: sum(step[prefix + name] for step in steps) for name in names}
