"""Completions from a policy."""

from rlvr.config import Config
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import RolloutEngine
from rlvr.rollout.transformers_engine import TransformersEngine


def build_engine(config: Config, policy: Policy) -> RolloutEngine:
    """The engine a config names. The transformers engine samples from the trainer's own weights."""
    if config.rollout.name == "transformers":
        return TransformersEngine(
            policy, max_rows=config.rollout.max_rows, precision=config.training.precision
        )
    from rlvr.rollout.vllm_engine import build_vllm_engine

    return build_vllm_engine(config, policy)
