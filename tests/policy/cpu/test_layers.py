"""Layers that keep less give the outputs and gradients of transformers' own."""

import copy

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rlvr.policy.attention import ATTENTION
from rlvr.policy.cpu import optimize
from rlvr.policy.cpu.attention import CPUAttention
from rlvr.policy.cpu.layers import (
    Attention,
    GatedMLP,
    RMSNorm,
    _Gated,
    _Rotated,
    use_memory_saving_layers,
)
from rlvr.policy.prefix_tree import PrefixTree

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
FAMILIES = [(LlamaForCausalLM, LlamaConfig), (Qwen2ForCausalLM, Qwen2Config), (Qwen3ForCausalLM, Qwen3Config)]


def kept(model: torch.nn.Module, tokens: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Logits, gradients of every parameter, and numbers that the forward kept for the backward."""
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // 4
        held.append(tensor)
        return tensor

    held: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(tokens).logits
    logits.square().mean().backward()
    return logits, {name: parameter.grad for name, parameter in model.named_parameters()}, sum(sizes.values())


@pytest.fixture(params=FAMILIES, ids=lambda family: family[0].__name__)
def plain(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A model of transformers' own whose norms and biases are not ones and zeros."""
    family, config = request.param
    torch.manual_seed(0)
    model = family(config(**SIZES, head_dim=8) if config is Qwen3Config else config(**SIZES))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def test_a_model_is_the_same_and_keeps_less(plain: PreTrainedModel):
    lean = copy.deepcopy(plain)
    optimize(lean)
    assert {type(layer.mlp) for layer in lean.model.layers} == {GatedMLP}
    assert type(lean.model.norm) is RMSNorm
    assert list(lean.state_dict()) == list(plain.state_dict())

    tokens = torch.randint(SIZES["vocab_size"], (3, 50))
    logits, gradients, numbers = kept(plain, tokens)
    lean_logits, lean_gradients, lean_numbers = kept(lean, tokens)
    torch.testing.assert_close(lean_logits, logits, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(lean_gradients[name], gradient, atol=1e-6, rtol=1e-4)
    # of 150 tokens: two numbers of the inner width a layer, and one of the hidden width a norm
    saved = 150 * 2 * 2 * SIZES["intermediate_size"] + 150 * (2 * 2 + 1) * SIZES["hidden_size"]
    assert numbers - lean_numbers >= saved


def test_attention_with_a_layout_is_transformers_own(plain: PreTrainedModel):
    ours = copy.deepcopy(plain)
    ours.set_attn_implementation(ATTENTION)
    use_memory_saving_layers(ours)
    use_memory_saving_layers(ours)
    assert all(isinstance(layer.self_attn, Attention) for layer in ours.model.layers)

    tokens = torch.randint(SIZES["vocab_size"], (1, 12))
    tree = PrefixTree.build([tokens[0, :4].tolist()], [[tokens[0, 4:].tolist()]])
    layout = CPUAttention(tree)
    expected = plain.model(tokens).last_hidden_state[0, :-1]
    hidden = ours.model(
        tree.tokens_T[None], position_ids=tree.positions_T[None], layout=layout
    ).last_hidden_state[0]
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=1e-5)
    for output in (hidden, expected):
        output.square().mean().backward()
    gradients = dict(plain.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, atol=1e-6, rtol=1e-4)


def test_rotation_by_hand_and_in_float64():
    # a head of two numbers is turned by the angle: (1, 0) by 90 degrees is (0, 1)
    sine = torch.tensor([[[-1.0, 1.0]]])
    assert _Rotated.apply(torch.tensor([[[1.0, 0.0]]]), torch.zeros(1, 1, 2), sine).tolist() == [[[0.0, 1.0]]]
    angle = torch.rand(5, 1, 3, dtype=torch.float64)
    cosine, sine = angle.cos().repeat(1, 1, 2), torch.cat([-angle.sin(), angle.sin()], dim=-1)
    block = torch.randn(5, 2, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_Rotated.apply, (block, cosine, sine))


def test_the_gate_in_float64():
    gate, up = (torch.randn(5, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(_Gated.apply, (gate, up))


def test_half_precision_goes_through():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).bfloat16()
    use_memory_saving_layers(model)
    _, gradients, _ = kept(model, torch.randint(SIZES["vocab_size"], (1, 9)))
    assert {gradient.dtype for gradient in gradients.values()} == {torch.bfloat16}
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_frozen_norms_have_no_gradient():
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    use_memory_saving_layers(model)
    model.model.norm.weight.requires_grad_(False)
    _, gradients, _ = kept(model, torch.randint(SIZES["vocab_size"], (1, 9)))
    assert gradients["model.norm.weight"] is None
    assert gradients["model.embed_tokens.weight"].abs().sum() > 0
