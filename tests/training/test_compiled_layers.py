"""Layers that are compiled or exchanged compute what transformers' own do."""

from collections.abc import Callable

import pytest
import torch
from test_token_budget import like_on_cuda, steps
from torch import nn
from training_groups import RIGHT, WRONG, make_groups
from transformers import AutoModelForCausalLM, Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.policy import liger
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.varlen import VarlenAttention
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.training.layers import compile_layers, prepare_layers
from rlvr.training.recompute import recompute_activations

REST = [("float32", False), ("bfloat16", False), ("bfloat16", True)]
SETTINGS = ["algorithm.kl_coefficient=0", "training.max_tokens_per_micro_batch=40"]


@pytest.mark.parametrize(
    ("precision", "recompute"),
    [("float32", True), *(pytest.param(*case, marks=pytest.mark.slow) for case in REST)],
)
def test_compiled_layers_give_the_same_gradients(precision: str, recompute: bool):
    """Micro-batches of several lengths, two optimizer steps; traced and differentiated, not generated."""
    groups = make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5)
    settings = [*SETTINGS, f"training.precision={precision}"]
    _, expected = steps(like_on_cuda(), groups, settings)
    policy = like_on_cuda()
    compile_layers(policy, backend="aot_eager")
    if recompute:
        recompute_activations(policy.model, keep_attention=True)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    _, gradients = steps(policy, groups, settings)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0  # something was compiled
    tolerance = 1e-5 if precision == "float32" else 0.02
    for step, plain in zip(gradients, expected, strict=True):
        for one, other in zip(step, plain, strict=True):
            assert (one - other).norm() <= tolerance * (other.norm() + 1e-3)


def test_a_layer_is_compiled_once_however_many_there_are():
    """torch stops at eight versions of one function, after which layers would run as they are."""
    compiled = []
    for layers in (2, 12):
        torch._dynamo.reset()
        config = Qwen2Config(
            hidden_size=16,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=16,
            vocab_size=64,
        )
        model = AutoModelForCausalLM.from_config(config)
        policy = Policy(model, load_policy("embedded", device="meta").tokenizer, runs_on="cuda")
        graphs: list[torch.fx.GraphModule] = []
        compile_layers(policy, backend=lambda graph, _, graphs=graphs: graphs.append(graph) or graph.forward)
        for length in (4, 7, 9):
            policy.logprobs(PrefixTree.build([[5, 6, 7]], [[list(range(length)), [9, 8]]]))
        compiled.append(len(graphs))
    assert compiled[0] == compiled[1] > 0


def test_sampling_goes_through_compiled_layers_for_prompts_alone():
    """Under autocast their code converts every weight at each call, which would be at every token."""
    policy, calls = like_on_cuda(), []

    def counting(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable:
        return lambda *inputs: calls.append(graph) or graph.forward(*inputs)

    torch._dynamo.reset()
    compile_layers(policy, backend=counting)
    engine, problem = (
        TransformersEngine(policy, precision="bfloat16"),
        countdown_problems(size=1, held_out=True, seed=3)[0],
    )
    of_length = {}
    for length in (1, 3):
        calls.clear()
        (group,) = engine.generate([(problem, 2)], Sampling(max_tokens=length), seed=0)
        of_length[length] = len(calls)
    assert max(len(one.token_ids) for one in group.completions) > 1
    assert of_length[1] == of_length[3] > 0


@pytest.mark.slow
def test_generated_code_gives_the_same_gradients():
    groups = make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5)
    _, expected = steps(like_on_cuda(), groups, SETTINGS)
    policy = like_on_cuda()
    prepare_layers(policy, load_config(["training.compile=true"]), on_cuda=False)
    _, gradients = steps(policy, groups, SETTINGS)
    for step, plain in zip(gradients, expected, strict=True):
        for one, other in zip(step, plain, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_an_attention_that_is_chosen_is_used_and_gives_the_same_gradients():
    groups = make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5)
    _, expected = steps(load_policy("embedded"), groups, SETTINGS)
    policy = load_policy("embedded")
    prepare_layers(policy, load_config(["training.attention=varlen"]), on_cuda=False)
    assert policy.kernels.attention is VarlenAttention
    _, gradients = steps(policy, groups, SETTINGS)
    for one, other in zip(gradients[0], expected[0], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)
    with pytest.raises(UserError, match=r"half precision only; try training\.precision=bfloat16"):
        prepare_layers(policy, load_config(["training.attention=varlen"]), on_cuda=True)


def test_liger_takes_exactly_known_layers():
    class Qwen2RMSNormOfMine(Qwen2RMSNorm):
        pass

    model = like_on_cuda().model
    replaced = [module for module in model.modules() if liger.replacement(module) is not None]
    assert len(replaced) == 3 * model.config.num_hidden_layers + 1  # two norms, an MLP; the last norm
    assert liger.replacement(Qwen2RMSNormOfMine(8)) is liger.replacement(nn.RMSNorm(8)) is None
    with pytest.raises(UserError, match=r"training\.liger=true without CUDA"):
        prepare_layers(like_on_cuda(), load_config(["training.liger=true"]), on_cuda=False)
