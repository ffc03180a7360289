"""What a run works with: the policy, the engine that samples from it, and the learner that changes it.

On one process or, under torchrun, on each of many with its share.
"""

import copy
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from rlvr.config import Config
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import Policy, load_policy
from rlvr.rollout import build_engine
from rlvr.rollout.engine import RolloutEngine
from rlvr.training.checkpoint import load_state
from rlvr.training.determinism import configure_gpu, refuse_torch_settings
from rlvr.training.distributed.data_parallel import DataParallelEngine
from rlvr.training.distributed.ranks import (
    from_rank_zero,
    on_every_rank,
    rank,
    rank_zero_first,
    world_size,
)
from rlvr.training.distributed.sharding import ShardedLearner, ShardedPolicy
from rlvr.training.layers import choose_attention, prepare_layers
from rlvr.training.learner import Learner
from rlvr.training.optimizers import check_trained_dtype


def device_of(config: Config) -> str:
    if config.training.device != "auto":
        return config.training.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def configure_process(config: Config) -> None:
    """Thread count, allocator and GPU of this process.

    Raises:
        UserError: where torch is to compute otherwise than a config can say.
    """
    refuse_torch_settings()
    torch.set_num_threads(config.training.threads)
    configure_gpu(config)
    device = torch.device(device_of(config))
    if device.index is not None and torch.cuda.is_available() and world_size() == 1:
        torch.cuda.set_device(device)  # what is said of no GPU, as `synchronize`, is of this one


def initial_policy(config: Config, weights: Path | None = None, device: str | None = None) -> Policy:
    """The policy a config names, without any adapter; or as it is in a checkpoint."""
    return open_policy(config, weights, device, with_adapter=weights is not None)


def open_policy(config: Config, weights: Path | None, device: str | None, with_adapter: bool) -> Policy:
    """As `initial_policy`; on the device "meta" it has no weights, see `load_policy`."""
    adapted = with_adapter and config.adapter.name == "lora"  # then a checkpoint has no weights but its own

    def adapt(model: PreTrainedModel) -> Adapter:
        adapter = Adapter(model, config.adapter, path=config.model.path, seed=config.seed)
        if weights and device != "meta":
            adapter.load(model, weights)
        return adapter

    return load_policy(
        config.model.path if adapted else weights or config.model.path,
        settings=config.model,
        dtype=config.model.dtype,
        device=device or device_of(config),
        runs_on=device_of(config),
        adapt=adapt if adapted else None,
    )


def _policy_of_ranks(
    config: Config, weights: Path | None, *, with_adapter: bool, device: str | None = None
) -> Policy:
    """Of one process `open_policy`. Of several, rank 0 alone reads the weights, into host memory, and the
    others have none: they are about to be sharded, or handed to an engine."""
    if world_size() == 1:
        return open_policy(config, weights, device, with_adapter)
    with rank_zero_first():
        return open_policy(config, weights, "meta" if rank() else "cpu", with_adapter)


@on_every_rank("loading the policy")
def open_training(
    config: Config, found: Path | None, sequence: int | None = None
) -> tuple[Policy, RolloutEngine, Learner]:
    """All that changes in training, as it is at a checkpoint, or at the start where there is none.

    Args:
        sequence: see `build_engine`.
    """
    several = world_size() > 1
    on_cuda = device_of(config).startswith("cuda")
    sharded = {"precision": config.training.precision, "device": device_of(config)}
    policy = _policy_of_ranks(config, found, with_adapter=True)
    if config.training.steps:
        weight = next(iter(trained(policy.model).values()))
        check_trained_dtype(weight.dtype, config.training.learning_rate)
    engine = _build_engine(config, policy, sequence, apart=several or overlaps(config))
    prepare_layers(policy, config, on_cuda=on_cuda)
    if several:
        policy = ShardedPolicy(policy, **sharded)
    reference = None
    if config.algorithm.kl_coefficient > 0 and policy.adapter is None:
        reference = _policy_of_ranks(config, None, with_adapter=False)
        reference.model.requires_grad_(False)
        choose_attention(reference, config, on_cuda=on_cuda)
        if several:
            reference = ShardedPolicy(reference, **sharded)
    learner = (ShardedLearner if several else Learner)(policy, config, reference)
    if found:
        engine.rest()  # optimizer state comes by way of the device, as in an update
        # on a GPU it is copied there from the disk; on a CPU what is read is what goes on
        learner.load_state_dict(load_state(found, mapped=on_cuda)["learner"], found)
    engine.update_weights(policy.weights(), version=learner.updates)
    return policy, engine, learner


@on_every_rank("loading the policy")
def open_engine(
    config: Config, weights: Path | None, sequence: int | None = None, engine: RolloutEngine | None = None
) -> RolloutEngine:
    """An engine for a policy that does not change: a checkpoint, or the model as it is.

    Args:
        sequence: see `build_engine`.
        engine: one that is there, which takes over these weights; made if there is none.
    """
    # an engine with weights of its own copies them to the device, which need not have them twice
    device = "cpu" if engine or config.rollout.name == "vllm" else None
    policy = _policy_of_ranks(config, weights, with_adapter=weights is not None, device=device)
    engine = engine or _build_engine(config, policy, sequence, apart=world_size() > 1)
    engine.update_weights(from_rank_zero(policy.weights(), device_of(config)), version=0)
    return engine


def _build_engine(config: Config, policy: Policy, sequence: int | None, *, apart: bool) -> RolloutEngine:
    """An engine, of whom `update_weights` has to be called next.

    Args:
        apart: whether it can't sample from the policy's own weights, whatever engine it is: they are about to
            be sharded, are not here, or are updated while it samples.
    """
    if apart and config.rollout.name == "transformers":
        policy = _with_room_for_weights(policy, device_of(config))
    engine = build_engine(config, policy, sequence)
    if world_size() == 1:
        return engine
    return DataParallelEngine(engine, getattr(config.rollout, "tensor_parallel_size", 1))


def _with_room_for_weights(policy: Policy, device: str) -> Policy:
    """A copy whose parameters are to be filled; those that are tied are one."""
    room = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device=device), parameter.requires_grad)
        for parameter in policy.model.parameters()
    }
    copied = copy.deepcopy(policy, room)
    copied.model.to(device)  # buffers
    return copied


def outlives_training(config: Config) -> bool:
    """Whether the engine that sampled in training can do so in an evaluation: it has weights of its own."""
    return config.rollout.name == "vllm" or world_size() > 1


def overlaps(config: Config) -> bool:
    """Whether the next step is sampled at the same time as this one is trained: on a GPU, by one process and
    the transformers engine.

    Several have one controller, which has their engines sample, or their learners update. vLLM copies tokens
    on a stream that waits for that of the thread it was built in, so in another they may not be there yet.
    Deterministic kernels are the whole process's, and sampling has none of its sums.
    """
    on_cuda = torch.device(device_of(config)).type == "cuda"
    alone = world_size() == 1 and config.rollout.name == "transformers"
    return config.training.off_policy_steps > 0 and on_cuda and alone and not config.training.deterministic
