"""Memory of a run by part, on each GPU and on the host, and what to change where it does not fit.

Measured on one H100 and as computed here: docs/how-to/scale-up.md; tests/runs/test_memory.py holds the error.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rlvr.config import Config
from rlvr.config.schema import LoRAConfig
from rlvr.errors import UserError
from rlvr.policy.activations import Activations
from rlvr.policy.architecture import Architecture
from rlvr.tables.assumptions import Assumptions
from rlvr.training.optimizers import lost_above, state_bytes

GIB = 2**30
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
CARDS = {"24 GB": 23.6, "48 GB": 44.5, "80 GB": 79.2, "141 GB": 139.8}  # GiB as their drivers report
RUNTIME = 0.8 * GIB  # CUDA's context of one process, as measured
ASLEEP = 1.5 * GIB  # what vLLM does not give back: CUDA graphs and buffers
HOST_PROCESS = 3.0 * GIB  # Python, torch and CUDA's libraries of one rank
GPUS_A_NODE = 8
MARGIN = 0.04  # of a card, for fragmentation and what is not counted

Sizes = dict[str, float]  # GiB by part


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB on each GPU by part, while the policy is updated and while it samples, and on each node's host."""

    updating: Sizes
    sampling: Sizes
    host: Sizes
    tokens: int  # of a micro-batch

    @property
    def peak(self) -> float:
        return max(sum(self.updating.values()), sum(self.sampling.values()))

    @property
    def largest(self) -> Sizes:
        """The parts of the phase that takes most."""
        return max(self.updating, self.sampling, key=lambda parts: sum(parts.values()))

    def fits(self, gib: float) -> bool:
        return self.peak <= gib * (1 - MARGIN)


class Trained(NamedTuple):
    """Parameters that have a gradient, and the bytes of each one's gradient and optimizer state."""

    parameters: int
    gradient: float
    state: float
    host_state: float


def trained(config: Config, model: Architecture) -> Trained:
    """All parameters, or those of the adapter, which are float32."""
    optimizer, adapter = config.training.optimizer, config.adapter
    if adapter.name == "none":
        stored = BYTES[config.model.dtype]
        return Trained(model.parameters, stored, *state_bytes(optimizer, stored))
    parameters = model.adapter_parameters(adapter.rank, adapter.target_modules)
    return Trained(parameters, 4, *state_bytes(optimizer, 4))


def plan_memory(config: Config, model: Architecture, given: Assumptions) -> Memory:
    """Of one run on `given.gpus` GPUs, the trainer's state sharded over all of them."""
    ranks = max(given.gpus, 1)
    stored, compute = BYTES[config.model.dtype], BYTES[config.training.precision]
    learns = trained(config, model)
    of_weights: Sizes = {"weights": model.parameters * stored / ranks}
    of_state: Sizes = {"optimizer state": learns.parameters * learns.state / ranks}
    if config.algorithm.kl_coefficient > 0 and learns.parameters == model.parameters:
        of_weights["reference policy"] = model.parameters * stored / ranks
    engine_updating, engine_sampling = engine_bytes(config, model, given)
    training = config.training
    kinds = Activations(model, stored, compute, fused=training.liger or training.compile)
    a_token = kinds.a_token(training)
    working: Sizes = {
        "gradients": learns.parameters * learns.gradient / ranks,
        **weights_at_work(model, stored, compute, ranks),
        "logits and head": kinds.head,
    }
    runtime: Sizes = {"CUDA": RUNTIME}
    updating = {**of_weights, **of_state, **working, **engine_updating, **runtime}
    while_sampling = {} if training.offload_optimizer else of_state
    tokens = micro_batch_tokens(config, given)
    if training.micro_batch == "auto":  # what is left, if that is enough for a rollout
        left = given.gpu_gib * (1 - MARGIN) * GIB - sum(updating.values())
        tokens = max(min(tokens, int(left / a_token)), longest_sequence(config, given))
    updating[f"activations of {tokens:,} tokens"] = a_token * tokens
    return Memory(
        updating=in_gib(updating),
        sampling=in_gib({**of_weights, **while_sampling, **engine_sampling, **runtime}),
        host=in_gib(host_bytes(config, model, given, learns)),
        tokens=tokens,
    )


def in_gib(parts: Sizes) -> Sizes:
    return {name: size / GIB for name, size in parts.items() if size}


def longest_sequence(config: Config, given: Assumptions) -> int:
    """Tokens of the longest rollout, which has to go through the model whole."""
    return given.prompt_tokens + config.training.sampling.max_tokens


def largest_group(config: Config) -> int:
    """Rollouts of a problem, at most.

    Raises:
        UserError: for a group size of a plug-in that has no key which says so.
    """
    sizes = config.group_size
    if found := getattr(sizes, "n", None) or getattr(sizes, "maximum", None):
        return found
    raise UserError(
        f"group_size={sizes.name} does not say how many rollouts a problem has at most: a plan needs one "
        "with a key n or maximum, such as group_size=fixed"
    )


def micro_batch_tokens(config: Config, given: Assumptions) -> int:
    """Tokens of the largest micro-batch: no more than a rank's rollouts of one optimizer step have."""
    of_group = given.prompt_tokens + largest_group(config) * config.training.sampling.max_tokens
    of_rank = math.ceil(config.training.mini_batch_prompts * of_group / max(given.gpus, 1))
    longest = longest_sequence(config, given)
    return max(longest, min(of_rank, config.training.max_tokens_per_micro_batch))


def weights_at_work(model: Architecture, stored: int, compute: int, ranks: int) -> Sizes:
    """Copies of weights that products work with: all under autocast, or those gathered from other ranks."""
    if ranks == 1:
        return {"weights in half precision": model.parameters * compute} if stored != compute else {}
    embeddings = model.vocabulary * model.hidden * (1 if model.tied else 2)
    layer = (model.parameters - embeddings) / model.layers
    # the embeddings, one layer and the next, with the gradient of each before it is sent, in float32
    return {"gathered layers": (embeddings + 2 * layer) * (compute + 4)}


def engine_bytes(config: Config, model: Architecture, given: Assumptions) -> tuple[Sizes, Sizes]:
    """Of the rollout engine on each GPU, while the trainer works and while it samples."""
    rollout, compute = config.rollout, BYTES[config.training.precision]
    if rollout.name == "vllm":
        least = model.parameters * compute / rollout.tensor_parallel_size  # with one rollout's KV cache
        least += longest_sequence(config, given) * model.key_value_bytes(compute)
        share = max(rollout.gpu_memory_utilization * given.gpu_gib * GIB, least)
        return {"vLLM asleep": ASLEEP} if rollout.sleep else {"vLLM": share}, {"vLLM": share}
    rows = math.ceil(config.training.prompts_per_step * largest_group(config) / max(given.gpus, 1))
    tokens = min(rows, rollout.max_rows) * longest_sequence(config, given)
    cache = {"KV cache": tokens * model.key_value_bytes(compute)}
    if given.gpus > 1:  # the trainer's weights are sharded, so that each engine has a copy
        copy = {"engine's weights": float(model.parameters * BYTES[config.model.dtype])}
        return copy, copy | cache
    return {}, cache


def host_bytes(config: Config, model: Architecture, given: Assumptions, learns: Trained) -> Sizes:
    """Of all ranks of the first node together, at the moment that takes most."""
    ranks = min(max(given.gpus, 1), GPUS_A_NODE)
    parts: Sizes = {
        "processes": ranks * HOST_PROCESS,
        "weights at load": model.parameters * BYTES[config.model.dtype],  # read by rank 0 alone
    }
    if learns.host_state or config.training.offload_optimizer:
        parts["optimizer state"] = ranks * pinned_state(config, model, max(given.gpus, 1))
    if config.training.offload_activations:
        inputs = model.hidden * BYTES[config.model.dtype] * micro_batch_tokens(config, given)
        parts["inputs of layers"] = ranks * model.layers * pinned(inputs)
    return parts


def pinned_state(config: Config, model: Architecture, ranks: int) -> int:
    """Bytes of one rank's optimizer state in host memory: two moments of each matrix, cut by its rows."""
    adapter, matrices = config.adapter, model.matrices
    a_number: tuple[float, ...] = (BYTES[config.model.dtype],)
    if adapter.name != "none":
        matrices, a_number = model.adapter_matrices(adapter.rank, adapter.target_modules), (4,)
    if config.training.optimizer == "adamw_8bit":
        a_number = (1, 4 / 256)  # codes and scales, each a tensor
    own = [math.ceil(rows / ranks) * columns for rows, columns in matrices]
    return 2 * sum(pinned(numbers * size) for numbers in own for size in a_number)


def pinned(size: float) -> int:
    """Bytes of the pinned block that torch has for so many: a power of two (ATen's CachingHostAllocator)."""
    return 1 << (math.ceil(size) - 1).bit_length()


class Way(NamedTuple):
    """A change of a config that takes less memory: a key, the part of the config it is in, and its value."""

    part: str
    key: str
    value: Any

    @property
    def override(self) -> str:
        return f"{self.part}.{self.key}={str(self.value).lower()}"

    def changed(self, config: Config) -> Config:
        return replace(config, **{self.part: replace(getattr(config, self.part), **{self.key: self.value})})


def ways(config: Config) -> Iterator[Way]:
    """Single changes, those that cost least first."""
    rollout, training = config.rollout, config.training
    if rollout.name == "vllm" and not rollout.sleep:
        yield Way("rollout", "sleep", True)
    if rollout.name == "transformers" and rollout.max_rows > 128:
        yield Way("rollout", "max_rows", 128)
    if not training.activation_checkpointing:
        yield Way("training", "activation_checkpointing", True)
    if rollout.name == "vllm" and not training.offload_optimizer:
        yield Way("training", "offload_optimizer", True)
    if training.optimizer == "adamw":
        yield Way("training", "optimizer", "adamw_host")
    if training.activation_checkpointing and not training.offload_activations:
        yield Way("training", "offload_activations", True)
    if training.micro_batch != "auto" and training.max_tokens_per_micro_batch > 1:
        yield Way("training", "max_tokens_per_micro_batch", 1)  # the longest rollout alone


def fitting(config: Config, model: Architecture, given: Assumptions) -> tuple[str, Memory] | None:
    """Changes, as overrides, with which a run fits ("" for none of them); None if none help.

    All of the model is trained as long as that fits; only then an adapter is.
    """
    found = fitting_as_trained(config, model, given)
    if found is None and config.adapter.name == "none":
        for dtype in dict.fromkeys((config.model.dtype, "bfloat16")):
            adapted = replace(config, adapter=LoRAConfig(), model=replace(config.model, dtype=dtype))
            if found := fitting_as_trained(adapted, model, given):
                words = ["adapter=lora", *([] if dtype == config.model.dtype else [f"model.dtype={dtype}"])]
                return " ".join([*words, found[0]]).strip(), found[1]
    return found


def fitting_as_trained(config: Config, model: Architecture, given: Assumptions) -> tuple[str, Memory] | None:
    """`fitting` without a change of what is trained: one change, else the first ones together."""
    steps = list(ways(config))
    chains = [steps[:0], *([way] for way in steps), *(steps[:end] for end in range(2, len(steps) + 1))]
    for chain in chains:
        planned = config
        for way in chain:
            planned = way.changed(planned)
        memory = plan_memory(planned, model, given)
        if memory.fits(given.gpu_gib):
            return " ".join(way.override for way in chain), memory
    return None


def fewest_gpus(config: Config, model: Architecture, given: Assumptions) -> int | None:
    """The smallest power of two of GPUs on which a run fits, with all changes if it must; None above 1024."""
    for gpus in (2**i for i in range(11)):
        if gpus > given.gpus and fitting(config, model, replace(given, gpus=gpus)):
            return gpus
    return None


def shortfall(config: Config, model: Architecture, given: Assumptions) -> str | None:
    """Why a run does not fit, and the nearest remedy, as one sentence; None where it fits."""
    memory = plan_memory(config, model, given)
    if memory.fits(given.gpu_gib):
        return None
    part = max(memory.largest, key=memory.largest.__getitem__)
    said = (
        f"{config.model.path} does not fit on {given.cards} of {given.gpu_gib:.0f} GiB: "
        f"{memory.peak:.0f} GiB are needed on each, {memory.largest[part]:.0f} of them for {part}"
    )
    if found := fitting(config, model, given):
        overrides, less = found
        whole = or_all_of_it(config, model, given) if overrides.startswith("adapter=") else ""
        return f"{said}; it takes {less.peak:.0f} GiB with {overrides}{whole}"
    if gpus := fewest_gpus(config, model, given):
        found = fitting(config, model, replace(given, gpus=gpus))
        return f"{said}; it fits on {gpus} such GPUs" + (f" with {found[0]}" if found and found[0] else "")
    return f"{said}; a smaller model fits"


def or_all_of_it(config: Config, model: Architecture, given: Assumptions) -> str:
    """Beside an adapter: all of the model in bfloat16, if that fits too, and its price.

    It comes second, since small steps do not reach weights in that precision (`check_trained_dtype`).
    """
    half = replace(config, model=replace(config.model, dtype="bfloat16"))
    if not (found := fitting_as_trained(half, model, given)):
        return ""
    rate = config.training.learning_rate
    return (
        f", or with all of the model {found[1].peak:.0f} GiB with "
        f"{' '.join(filter(None, ['model.dtype=bfloat16', found[0]]))}, where steps of {rate:g} are lost on "
        f"weights larger than {lost_above(rate):.2g}"
    )


def on_cards(config: Config, model: Architecture, given: Assumptions) -> Iterator[str]:
    """For each common card, as many of them as are planned with: what it takes for the run to fit."""
    for name, gib in CARDS.items():
        found = fitting(config, model, replace(given, gpu_gib=gib))
        yield f"{name}: " + ("no" if found is None else found[0] or "as it is")
