"""Completions from a policy."""

from rlvr.config import Config
from rlvr.policy.policy import Policy
from rlvr.rollout.engine import RolloutEngine
from rlvr.rollout.transformers_engine import TransformersEngine


def build_engine(config: Config, policy: Policy, sequence: int | None = None) -> RolloutEngine:
    """The engine a config names. The transformers engine samples from the policy's own weights; another has
    those of the model as it is, until `update_weights`.

    Args:
        sequence: tokens of the longest prompt and completion there will be, which vLLM reserves memory for
            (`lengths.longest_sequence`); None: as many as the model's context has.
    """
    if config.rollout.name == "transformers":
        return TransformersEngine(
            policy, max_rows=config.rollout.max_rows, precision=config.training.precision
        )
    from rlvr.rollout.vllm_engine import build_vllm_engine

    return build_vllm_engine(config, policy, sequence)
