"""What a run works with: the policy, the engine that samples from it, and the learner that changes it.

On one process or, under torchrun, on each of many with its share.
"""

import copy
from pathlib import Path

import torch
from transformers import PreTrainedModel

from rlvr.config import Config
from rlvr.errors import UserError
from rlvr.policy.adapter import Adapter
from rlvr.policy.policy import Policy, load_policy
from rlvr.rollout import build_engine
from rlvr.rollout.engine import RolloutEngine
from rlvr.training.checkpoint import load_state
from rlvr.training.distributed.data_parallel import DataParallelEngine
from rlvr.training.distributed.ranks import on_every_rank, world_size
from rlvr.training.distributed.sharding import ShardedLearner, ShardedPolicy
from rlvr.training.layers import choose_attention, prepare_layers
from rlvr.training.learner import Learner


def device_of(config: Config) -> str:
    if config.training.device != "auto":
        return config.training.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def initial_policy(config: Config, weights: Path | None = None, device: str | None = None) -> Policy:
    """The policy a config names, without any adapter; or as it is in a checkpoint."""
    return open_policy(config, weights, device, with_adapter=weights is not None)


def open_policy(config: Config, weights: Path | None, device: str | None, with_adapter: bool) -> Policy:
    adapted = with_adapter and config.adapter.name == "lora"  # then a checkpoint has no weights but its own

    def adapt(model: PreTrainedModel) -> Adapter:
        adapter = Adapter(model, config.adapter, path=config.model.path, seed=config.seed)
        if weights:
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


@on_every_rank("loading the policy")
def open_training(
    config: Config, found: Path | None, sequence: int | None = None
) -> tuple[Policy, RolloutEngine, Learner]:
    """All that changes in training, as it is at a checkpoint, or at the start where there is none.

    Args:
        sequence: see `build_engine`.
    """
    several = world_size() > 1
    if several and config.training.off_policy_steps:
        raise UserError(
            f"training.off_policy_steps=1 with {world_size()} processes: there sampling and update take "
            "turns, so it would gain nothing; the nearest valid choice is 0"
        )
    device = "cpu" if several else None  # what will be sharded never has to be whole on the device
    policy = open_policy(config, found, device, with_adapter=True)
    reference = None
    if config.algorithm.kl_coefficient > 0 and policy.adapter is None:
        reference = initial_policy(config, None, device)
        reference.model.requires_grad_(False)
        choose_attention(reference, config, on_cuda=device_of(config).startswith("cuda"))
    engine = _engine_beside_trainer(config, policy, sequence)
    prepare_layers(policy, config, on_cuda=device_of(config).startswith("cuda"))
    if several:
        settings = {"precision": config.training.precision, "device": device_of(config)}
        policy = ShardedPolicy(policy, **settings)
        learner = ShardedLearner(policy, config, reference and ShardedPolicy(reference, **settings))
    else:
        learner = Learner(policy, config, reference)
    if found:
        learner.load_state_dict(load_state(found)["learner"], found)
    engine.update_weights(policy.weights(), version=learner.updates)
    return policy, engine, learner


@on_every_rank("loading the policy")
def open_engine(config: Config, weights: Path | None, sequence: int | None = None) -> RolloutEngine:
    """An engine for a policy that does not change: a checkpoint, or the model as it is.

    Args:
        sequence: see `build_engine`.
    """
    return _of_all_ranks(config, build_engine(config, initial_policy(config, weights), sequence))


def _engine_beside_trainer(config: Config, policy: Policy, sequence: int | None) -> RolloutEngine:
    """It samples from the trainer's own weights, or from a copy where those are about to be sharded, or to be
    updated while it samples."""
    if (world_size() > 1 or overlaps(config)) and config.rollout.name == "transformers":
        policy = copy.deepcopy(policy)
        policy.model.to(device_of(config))
    return _of_all_ranks(config, build_engine(config, policy, sequence))


def overlaps(config: Config) -> bool:
    """Whether the next step is sampled at the same time as this one is trained."""
    return config.training.off_policy_steps > 0 and torch.device(device_of(config)).type == "cuda"


def _of_all_ranks(config: Config, engine: RolloutEngine) -> RolloutEngine:
    if world_size() == 1:
        return engine
    return DataParallelEngine(engine, getattr(config.rollout, "tensor_parallel_size", 1))
