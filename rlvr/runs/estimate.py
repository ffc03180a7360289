"""What a run will do, before it does anything: prompts, rollouts, updates, tokens, memory, time, disk.

Needs neither GPU nor weights. Counts follow from the config; times follow from the assumptions, which are
printed with them and can be given (`rlvr plan scale=paper gpus=8 mean_tokens=2000`, or `plan:` in a table's
file). Left out of the times: loading, weight transfer, verification and, with vLLM, waiting for the longest
rollout.
"""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from rlvr.config import Config, load_config, run_directory
from rlvr.files.atomic import free_bytes
from rlvr.policy.architecture import Architecture, architecture_of
from rlvr.runs.cautions import cautions
from rlvr.runs.inventory import MISSING, checks, load_all
from rlvr.runs.memory import (
    BYTES,
    GIB,
    GPUS_A_NODE,
    Memory,
    Sizes,
    largest_group,
    on_cards,
    plan_memory,
    shortfall,
    trained,
)
from rlvr.runs.reproduce import say_what_arms_set
from rlvr.runs.retention import checkpoint_bytes
from rlvr.runs.schedule import ScheduledRun, runs_of, schedule_runs
from rlvr.tables.names import read_table, scale_of
from rlvr.tables.spec import LAPTOP, Assumptions, refuse_keys_of_a_table

ON_CPUS = ("smoke", "laptop", "small")  # scales whose runs are made for CPU cores


@dataclass(frozen=True, slots=True)
class Estimate:
    """One run in numbers. Tokens are of completions; FLOP counts are of the whole run."""

    steps_per_epoch: int
    steps: int
    updates: int
    updates_per_step: int
    prompts: int
    rollouts: int
    tokens: int
    tokens_at_most: int
    evaluation_samples: int
    evaluation_tokens: int
    sampling_hours: float  # GPU hours
    training_hours: float
    evaluation_hours: float
    memory: Memory
    disk_gib: Sizes

    @property
    def gpu_hours(self) -> float:
        return self.sampling_hours + self.training_hours + self.evaluation_hours


def estimate_run(config: Config, model: Architecture, given: Assumptions) -> Estimate:
    """The numbers of one run. Groups without signal are counted as trained on: their share is not known."""
    training, evaluation = config.training, config.evaluation
    group_size = largest_group(config)
    prompts = training.steps * training.prompts_per_step
    rollouts = prompts * group_size
    mean_tokens = min(given.mean_tokens, training.sampling.max_tokens)
    tokens = rollouts * mean_tokens

    problems = sum(task.size or 0 for task in config.benchmark.tasks.values())
    validated = sum(task.size or 0 for task in config.benchmark.tasks.values() if task.domain == "in_domain")
    checkpoints = math.ceil(training.steps / training.checkpoint_every)
    validations = checkpoints + 1 if training.steps else 0
    samples = problems * evaluation.samples + validated * evaluation.validation_samples * validations
    evaluation_tokens = samples * min(given.mean_tokens, evaluation.sampling.max_tokens)

    forward = model.forward_operations(given.prompt_tokens + mean_tokens / 2)
    forwards = 3.0 * training.num_iterations  # forward and backward
    if config.algorithm.old_logprobs == "trainer":
        # old log-probabilities, which the first update does without
        forwards += 1 - training.mini_batch_prompts / training.prompts_per_step
    if config.algorithm.kl_coefficient > 0:
        forwards += 1
    per_hour = given.peak_tflops * 1e12 * 3600
    prefilled = prompts * given.prompt_tokens
    sampled_at_best = steps_of_waves(config, rollouts, training.steps, training.sampling.max_tokens)
    evaluated_at_best = steps_of_waves(config, samples, checkpoints + 2, evaluation.sampling.max_tokens)
    layer_hours = model.layers * given.layer_ms / 3.6e6
    return Estimate(
        steps_per_epoch=(config.data.size or 0) // training.prompts_per_step,
        steps=training.steps,
        updates=training.optimizer_steps,
        updates_per_step=training.optimizer_steps_a_batch,
        prompts=prompts,
        rollouts=rollouts,
        tokens=tokens,
        tokens_at_most=rollouts * training.sampling.max_tokens,
        evaluation_samples=samples,
        evaluation_tokens=evaluation_tokens,
        sampling_hours=max(
            forward * (tokens + prefilled) / (per_hour * given.sampling_share), sampled_at_best * layer_hours
        ),
        training_hours=forward * forwards * (tokens + prefilled) / (per_hour * given.training_share),
        evaluation_hours=max(
            forward * evaluation_tokens / (per_hour * given.sampling_share), evaluated_at_best * layer_hours
        ),
        memory=plan_memory(config, model, given),
        disk_gib=disk(config, model, evaluation_tokens),
    )


def steps_of_waves(config: Config, rollouts: int, calls: int, longest: int) -> int:
    """Decoding steps of the transformers engine for `calls` equal calls, one after the other.

    It draws a token of all rollouts of a wave at once, and a wave is taken to be as long as the longest
    completion may be. Nothing is known of vLLM's batches: 0.
    """
    if config.rollout.name != "transformers":
        return 0
    return max(calls, 1) * math.ceil(rollouts / max(calls, 1) / config.rollout.max_rows) * longest


def disk(config: Config, model: Architecture, tokens: int) -> Sizes:
    """GiB by part that a run leaves."""
    return {
        "checkpoints": checkpoint_gib(config, model)["checkpoints"],
        "evaluation": 2 * tokens / GIB,  # four characters a token, compressed by half
    }


def checkpoint_gib(config: Config, model: Architecture) -> Sizes:
    """GiB of a run's checkpoints, and those that it needs more while it trains."""
    learns = trained(config, model)
    weights = learns.parameters * BYTES[config.model.dtype]
    optimizer = learns.parameters * (learns.state + learns.host_state)
    sizes = checkpoint_bytes(config, weights, optimizer)
    return {name: size / GIB for name, size in sizes.items()}


def rollouts_at_once(config: Config, model: Architecture, given: Assumptions) -> int:
    """Rollouts of mean length whose KV cache fits beside the engine's weights, on all GPUs together."""
    share = getattr(config.rollout, "gpu_memory_utilization", 0.5)
    ranks = getattr(config.rollout, "tensor_parallel_size", 1)
    free = given.gpu_gib * GIB * share - model.parameters * 2 / ranks
    tokens = given.prompt_tokens + min(given.mean_tokens, config.training.sampling.max_tokens)
    return max(int(given.gpus * free / (tokens * model.key_value_bytes())), 0)


def describe(config: Config, given: Assumptions, on_cpu: bool = False) -> Iterator[str]:
    """The estimate of one run, line by line; on a CPU without the memory and hours of GPUs."""
    model = architecture_of(config.model)
    estimate = estimate_run(config, model, given)
    longest = config.training.sampling.max_tokens
    mean = min(given.mean_tokens, longest)
    hours = estimate.gpu_hours
    count = len(config.benchmark.tasks)
    yield f"model       {config.model.path}: {_in_words(model.parameters)} parameters in {config.model.dtype}"
    size = f"{config.data.size:,}" if config.data.size else "all"
    yield f"data        {config.data.name}: {size} problems, {config.training.prompts_per_step} a step"
    yield (
        f"training    {estimate.steps_per_epoch:,} steps an epoch, {estimate.steps:,} in all, "
        f"{estimate.updates_per_step} updates each: {estimate.updates:,} optimizer steps"
    )
    yield f"rollouts    {estimate.prompts:,} prompts, {estimate.rollouts:,} rollouts"
    yield (
        f"tokens      {_in_words(estimate.tokens)} at {mean:,} a rollout; "
        f"at most {_in_words(estimate.tokens_at_most)}, at {longest:,}"
    )
    yield (
        f"evaluation  {estimate.evaluation_samples:,} samples of {count} benchmark{'s' * (count != 1)}, "
        f"{_in_words(estimate.evaluation_tokens)} tokens"
    )
    if open_ended := [name for name, task in config.benchmark.tasks.items() if task.size is None]:
        yield f"            without {', '.join(open_ended)}, whose size the config leaves to its file"
    if on_cpu:
        yield "time        on CPU cores, not estimated: the page of a table says what its runs took"
    else:
        yield from describe_memory(config, model, given, estimate.memory)
        yield (
            f"            KV cache: {model.key_value_bytes() / 1024:,.0f} KiB a token, so that "
            f"{rollouts_at_once(config, model, given):,} rollouts of {mean:,} tokens are sampled at once"
        )
        yield (
            f"time        {hours:,.0f} GPU hours: sampling {estimate.sampling_hours:,.0f}, "
            f"training {estimate.training_hours:,.0f}, evaluation {estimate.evaluation_hours:,.0f}; "
            f"{hours / given.gpus:,.1f} hours on {given.cards}"
        )
    free = free_bytes(Path(config.runs)) / GIB
    needed = sum(estimate.disk_gib.values())
    yield f"disk        {needed:,.1f} GiB ({free:,.0f} free here): {_parts(estimate.disk_gib)}"
    if meanwhile := checkpoint_gib(config, model)["while it trains"]:
        yield f"            and {meanwhile:,.1f} GiB more while it trains, for the optimizer's state"


def describe_memory(config: Config, model: Architecture, given: Assumptions, memory: Memory) -> Iterator[str]:
    """What is on each GPU in each phase, what the host holds, and on which cards the run fits."""
    for name, parts in (("updating", memory.updating), ("sampling", memory.sampling)):
        yield (
            f"{'memory' if name == 'updating' else '':<12}{name} {sum(parts.values()):,.1f} of "
            f"{given.gpu_gib:,.0f} GiB on each of {given.cards}: {_parts(parts)}"
        )
    nodes = math.ceil(given.gpus / GPUS_A_NODE)
    yield (
        f"            host {sum(memory.host.values()):,.1f} GiB on "
        f"{'the machine' if nodes == 1 else f'the first of {nodes} nodes'}: {_parts(memory.host)}"
    )
    yield f"fits        on {given.gpus} of {'; '.join(on_cards(config, model, given))}"


def _in_words(number: int) -> str:
    return f"{number / 1e9:,.2f} billion" if number >= 1e8 else f"{number / 1e6:,.2f} million"


def _parts(sizes: dict[str, float]) -> str:
    return ", ".join(f"{name} {size:,.1f}" for name, size in sizes.items())


def print_estimate(
    overrides: Sequence[str],
    *,
    table: str | None = None,
    seeds: Sequence[int] = (),
    arms: Sequence[str] = (),
    experiments: Path | None = None,
    **given: float,
) -> str | None:
    """Print what a run, or a table's runs with their total, will take; returns why it can't run, if so.

    Args:
        table: its name; overrides then hold for every run.
        arms: of the table, the only ones that are to run (`runs_of`).
        given: `Assumptions`; for a table they go before those of its file (`plan: {gpus: 1, ...}`).
    """
    scale = next((o.partition("=")[2] for o in overrides if o.startswith("scale=")), None)
    scale = scale or (scale_of(table, experiments) if table else LAPTOP)
    on_cpu = scale in ON_CPUS and "gpus" not in given and not gpus_here()
    if on_cpu:
        given = given | {"gpus": 1}
    if table:
        spec = read_table(table, scale, experiments)
        assumptions = assumptions_of({**(asdict(spec.plan) if spec.plan else {}), **given})
        refuse_keys_of_a_table(overrides)
        say_what_arms_set(spec, overrides)
        base = [f"experiment={spec.folder(scale)}", f"scale={scale}", *overrides]
        runs = runs_of(spec, schedule_runs(spec, list(seeds) or spec.seeds, base), arms)
        config = print_table(f"{spec.name} at scale {scale}", runs, assumptions, on_cpu)
        training, tested = load_all(config)
        words = ["reproduce", f"table={table}", f"scale={scale}"]
        words += [f"seeds={','.join(map(str, seeds))}"] if seeds else []
        words += [f"arms={','.join(arms)}"] if arms else []
        words += [f"experiments={experiments}"] if experiments else []
        words += [o for o in overrides if not o.startswith("scale=")]
    else:
        assumptions = assumptions_of(given)
        config = load_config(overrides)
        training, tested = load_all(config)
        print("\n".join(describe(config, assumptions, on_cpu)))
        words = ["train", *overrides]
    longest = max(part.sampling.max_tokens for part in (config.training, config.evaluation))
    taken = asdict(assumptions) | {"mean_tokens": min(assumptions.mean_tokens, longest)}
    matters = ["mean_tokens"] if on_cpu else taken
    assumed = ", ".join(f"{name}={taken[name]:g}" for name in matters)
    print(f"\nassumed     {assumed}")
    found = list(checks(config, training, tested, of_table=table is not None))
    found += [("note", caution) for caution in cautions(config)]
    if any(mark == "LATER" for mark, _ in found):
        found.append(("note", "what is marked LATER is looked for on the hub when the run starts"))
    print("\n".join(["", *(f"{mark:<9}{text}" for mark, text in found)]))
    too_much = None if on_cpu else shortfall(config, architecture_of(config.model), assumptions)
    missing = [text for mark, text in found if mark == MISSING]
    if too_much or missing:
        return too_much or " ".join(["a run would not start:", "; ".join(missing)])
    per_run = 1 if config.backend.name == "verl" else assumptions.gpus  # verl starts its own processes
    print("\n".join(["", *commands(words, per_run, of_table=table is not None)]))
    return None


def commands(words: Sequence[str], gpus: int, *, of_table: bool) -> Iterator[str]:
    """What starts a run, or a table's runs, on so many GPUs each."""
    said = shlex.join(words)
    if gpus == 1:
        yield f"run it      rlvr {said}"
    elif of_table or gpus <= GPUS_A_NODE:
        cluster = " cluster=slurm" if gpus > GPUS_A_NODE and "cluster=slurm" not in words else ""
        yield f"run it      rlvr {said} gpus_per_run={gpus}{cluster}"
    else:
        nodes = math.ceil(gpus / GPUS_A_NODE)
        yield (
            f"run it      torchrun --nnodes {nodes} --nproc-per-node {GPUS_A_NODE} --rdzv-backend c10d "
            f"--rdzv-endpoint <first node>:29500 -m rlvr {said}"
        )
        yield f"            on each of {nodes} nodes that share a disk"


def assumptions_of(given: Mapping[str, float]) -> Assumptions:
    """Assumptions with some of them given; GPUs and their memory are else those that are here, if any."""
    return Assumptions(**gpus_here() | given)  # type: ignore[arg-type]


def gpus_here() -> dict[str, float]:
    """How many GPUs this machine has, and the memory of the smallest; empty without any."""
    sizes = [torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())]
    return {"gpus": len(sizes), "gpu_gib": min(sizes) / GIB} if sizes else {}


def print_table(title: str, runs: Sequence[ScheduledRun], given: Assumptions, on_cpu: bool = False) -> Config:
    """One line a run, the largest run in full, and the total; returns the config of the largest."""
    estimates = [estimate_run(run.config, architecture_of(run.config.model), given) for run in runs]
    largest = max(range(len(runs)), key=lambda index: estimates[index].gpu_hours)
    print(f"{title}: {len(runs)} runs\n")
    print(f"{'run':<44}{'steps':>8}{'updates':>9}{'rollouts':>12}{'GPU hours':>11}{'GiB on disk':>13}")

    def hours(number: float) -> str:
        return "–" if on_cpu else f"{number:,.0f}"

    for run, estimate in zip(runs, estimates, strict=True):
        folder = "/".join(run_directory(run.config).parts[-2:])
        size = sum(estimate.disk_gib.values())
        print(
            f"{folder:<44}{estimate.steps:>8,}{estimate.updates:>9,}{estimate.rollouts:>12,}"
            f"{hours(estimate.gpu_hours):>11}{size:>13,.1f}"
        )
    total_hours = sum(estimate.gpu_hours for estimate in estimates)
    total_disk = sum(sum(estimate.disk_gib.values()) for estimate in estimates)
    print(f"{'all':<44}{'':>8}{'':>9}{'':>12}{hours(total_hours):>11}{total_disk:>13,.1f}\n")
    config = runs[largest].config
    print("\n".join(describe(config, given, on_cpu)))
    return config
