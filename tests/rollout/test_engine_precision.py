"""Sampling in bfloat16 from float32 weights."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from rlvr.config.schema import LoRAConfig
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import Policy, load_policy
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


class Conversions(TorchDispatchMode):
    """How often each weight of a model is converted, by its name."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.names = {weight.data_ptr(): name for name, weight in model.named_parameters()}
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        if operator is torch.ops.aten._to_copy.default and arguments[0].data_ptr() in self.names:
            self.counts[self.names[arguments[0].data_ptr()]] += 1
        return operator(*arguments, **(named or {}))


def test_frozen_weights_are_converted_once_and_not_at_every_token():
    """By torch's own kernels, as on a GPU: 8 tokens took 8 conversions of each weight around an adapter."""

    def adapt(model: PreTrainedModel) -> Adapter:
        return Adapter(model, LoRAConfig(rank=2, target_modules=["q_proj"]), path="embedded", seed=0)

    policy = load_policy("embedded", runs_on="cuda", adapt=adapt)
    engine = TransformersEngine(policy, precision="bfloat16")
    before = list(trained(policy.model))
    problems = countdown_problems(size=2, count=[3], held_out=True, seed=3)
    with Conversions(policy.model) as conversions:
        engine.generate([(problem, 4) for problem in problems], Sampling(max_tokens=8), seed=0)
    weights = [name for name in conversions.counts if ".lora_" not in name]
    assert len(weights) > 5
    assert {conversions.counts[name] for name in weights} == {1}
    assert list(trained(policy.model)) == before  # frozen again
