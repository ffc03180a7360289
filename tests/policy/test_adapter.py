"""A low-rank adapter: what it starts as, its gradient by hand, and what it is merged and saved as."""

import json
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from rlvr.config import load_config
from rlvr.config.schema import LoRAConfig
from rlvr.errors import UserError
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree

TREE = PrefixTree.build([[5, 6, 7], [8, 9]], [[[10, 11, 12], [10, 13]], [[14, 15]]])


def adapted(
    path: str | Path = "embedded", *, saved: Path | None = None, dtype: str = "float32", **settings
) -> Policy:
    """The embedded policy with an adapter: a new one, or one from a folder."""

    def adapt(model: PreTrainedModel) -> Adapter:
        adapter = Adapter(model, LoRAConfig(**settings), path=str(path), seed=1)
        if saved:
            adapter.load(model, saved)
        return adapter

    return load_policy(path, dtype=dtype, adapt=adapt)


def filled(policy: Policy) -> Policy:
    """With a B that is no longer zero."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in trained(policy.model).items():
        if ".lora_B." in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    return policy


@torch.no_grad()
def logprobs(policy: Policy) -> torch.Tensor:
    return policy.logprobs(TREE)[0]


def test_it_starts_as_its_base_and_is_its_base_when_switched_off():
    base = logprobs(load_policy("embedded"))
    assert logprobs(adapted()).equal(base)
    policy = filled(adapted())
    assert (logprobs(policy) - base).abs().max() > 1e-2
    with policy.adapter.off():
        assert logprobs(policy).equal(base)
    assert (logprobs(policy) - base).abs().max() > 1e-2


@pytest.mark.parametrize("layer", ["self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"])
def test_its_gradient_is_the_full_one_by_the_chain_rule(layer: str):
    """W' = W + s B A, so dB = s dW' A^T and dA = s B^T dW'."""
    name, scaling = f"model.layers.1.{layer}", 10 / 4
    policy = filled(adapted(rank=4, alpha=10.0))
    policy.logprobs(TREE)[0].sum().backward()
    parameters = dict(policy.model.named_parameters())
    a_RI, b_OR = (parameters[f"{name}.lora_{part}.default.weight"] for part in "AB")

    full = filled(adapted(rank=4, alpha=10))  # from Python it may be an int
    full.merge_adapter()
    full.logprobs(TREE)[0].sum().backward()
    full_OI = dict(full.model.named_parameters())[f"{name}.weight"].grad
    assert a_RI.shape[0] == b_OR.shape[1] == 4
    torch.testing.assert_close(b_OR.grad, scaling * full_OI @ a_RI.T, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(a_RI.grad, scaling * b_OR.T @ full_OI, atol=1e-5, rtol=1e-4)
    assert b_OR.grad.abs().max() > 1e-2
    assert parameters[f"{name}.base_layer.weight"].grad is None


def test_merged_it_is_a_plain_model_that_says_the_same():
    base, policy = load_policy("embedded"), filled(adapted(target_modules=["q_proj", "down_proj"]))
    expected = logprobs(policy)
    streamed = dict(policy.adapter.merged(policy.weights()))
    assert set(streamed) == {name for name, _ in base.weights()}
    policy.merge_adapter()
    for (name, weight), (_, before) in zip(policy.weights(), base.weights(), strict=True):
        assert weight.equal(streamed[name]) and weight.requires_grad
        changed = name.endswith(("q_proj.weight", "down_proj.weight"))
        assert weight.equal(before) != changed
    torch.testing.assert_close(logprobs(policy), expected, atol=1e-5, rtol=1e-5)


def test_a_sum_in_half_precision_is_rounded_once():
    policy = filled(adapted(dtype="bfloat16"))
    assert {parameter.dtype for parameter in trained(policy.model).values()} == {torch.float32}
    layer = policy.adapter.layers["model.layers.0.mlp.up_proj"]
    a_RI, b_OR = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    expected = (layer.weight.float() + 2 * (b_OR @ a_RI)).bfloat16()
    assert dict(policy.adapter.merged(policy.weights()))["model.layers.0.mlp.up_proj.weight"].equal(expected)


def test_dropout_is_of_the_gradient_alone_and_drawn_from_its_seed():
    policy = filled(adapted(dropout=0.5))
    plain = logprobs(filled(adapted()))
    assert logprobs(policy).equal(plain)
    drawn = []
    for seed in (1, 1, 2):
        torch.rand(1)  # whatever else is drawn in between
        with policy.dropout(seed):
            drawn.append(policy.logprobs(TREE)[0].detach())
    assert drawn[0].equal(drawn[1]) and not drawn[0].equal(drawn[2])
    assert (drawn[0] - plain).abs().max() > 1e-3
    assert logprobs(policy).equal(plain)


def test_under_autocast_the_gradient_of_an_adapter_is_float32():
    expected, half = filled(adapted()), filled(adapted())
    expected.logprobs(TREE)[0].sum().backward()
    with half.autocast("bfloat16"):
        logp, _ = half.logprobs(TREE)
        logp.sum().backward()
    for one, other in zip(trained(half.model).values(), trained(expected.model).values(), strict=True):
        assert one.grad.dtype == torch.float32
        assert (one.grad - other.grad).norm() < 0.1 * other.grad.norm()


def test_a_saved_adapter_is_whole_and_knows_its_base(tmp_path: Path):
    policy = filled(adapted(rank=4))
    folder = tmp_path / "adapter"
    policy.save(folder)
    files = ["adapter_config.json", "adapter_model.safetensors", "base.json"]
    assert sorted(file.name for file in folder.iterdir()) == files
    assert logprobs(adapted(rank=4, saved=folder)).equal(logprobs(policy))
    with pytest.raises(UserError, match=r"another rank or other layers than adapter\.rank=8"):
        adapted(rank=8, saved=folder)
    with pytest.raises(UserError, match=r"has an adapter alone: accepted is a whole model, as `rlvr export`"):
        load_policy(folder)

    other = load_policy("embedded")
    with torch.no_grad():
        next(other.model.parameters())[0, 0] += 1
    other.save(tmp_path / "other")
    digest = json.loads((folder / "base.json").read_text())["digest"]
    with pytest.raises(UserError, match=f"an adapter of embedded with weights {digest}, but the base at"):
        adapted(tmp_path / "other", rank=4, saved=folder)
    with pytest.raises(UserError, match=r"has no adapter in it: base\.json can't be read"):
        adapted(rank=4, saved=tmp_path / "other")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rank=0", r"adapter\.rank=0: accepted is 1 or more"),
        ("alpha=0", r"adapter\.alpha=0\.0: accepted is above 0"),
        ("dropout=1", r"adapter\.dropout=1\.0: accepted is 0 or more and below 1"),
        ("target_modules=[a b]", r"adapter\.target_modules=\['a b'\]: accepted is all-linear, or a list"),
        ("rnk=8", "unknown key in adapter 'rnk'.*did you mean rank"),
    ],
)
def test_settings_that_can_not_be_are_said_in_a_sentence(override: str, sentence: str):
    with pytest.raises(UserError, match=sentence):
        load_config(["adapter=lora", f"adapter.{override}"])


def test_layers_that_are_not_there_are_named():
    with pytest.raises(UserError, match=r"adapter\.target_modules 'q_pro'.*did you mean q_proj"):
        adapted(target_modules=["q_pro"])
    with pytest.raises(UserError, match=r"unknown linear layer in adapter\.target_modules 'lm_head'"):
        adapted(target_modules="lm_head")


def test_a_decoder_without_linear_layers_is_said():
    """GPT-2's are of its own kind; peft's error came as a traceback."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1, n_positions=8))
    with pytest.raises(UserError, match="adapter=lora with a gpt2, whose decoder has no linear layer"):
        Adapter(model, LoRAConfig(), path="gpt2", seed=0)
