"""Sampling in bfloat16 from float32 weights."""

import torch

from rlvr.policy.policy import Policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine


def test_bfloat16_log_probabilities_are_the_bfloat16_trainers(frozen_policy: Policy):
    problems = countdown_problems(size=4, count=[3, 4, 5], held_out=True, seed=3)
    engine = TransformersEngine(frozen_policy, precision="bfloat16")
    groups = engine.generate([(problem, 8) for problem in problems], Sampling(max_tokens=16), seed=0)
    sampled = torch.tensor([value for group in groups for c in group.completions for value in c.logprobs])

    tree = PrefixTree.build(
        [group.prompt_ids for group in groups], [[c.token_ids for c in group.completions] for group in groups]
    )

    def scored(precision: str) -> torch.Tensor:
        with torch.no_grad(), frozen_policy.autocast(precision):
            return frozen_policy.logprobs(tree)[0]

    # bfloat16 has 8 bits: near, but not the same as float32
    assert (sampled - scored("bfloat16")).abs().mean() < 0.02
    assert 1e-5 < (sampled - scored("float32")).abs().mean() < 0.02
    assert all(parameter.dtype == torch.float32 for parameter in frozen_policy.model.parameters())
