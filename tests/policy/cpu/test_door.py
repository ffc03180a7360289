"""The door to the CPU's kernels: what goes through it, what it leaves alone, and sizes by hand."""

import copy

import peft
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from rlvr.policy.blocks import BlockAttention
from rlvr.policy.cpu import CPUKernels, optimize
from rlvr.policy.cpu.linear import Linear, padded_row_count
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree

PROJECTIONS = ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj", "lm_head")


class Adapter(nn.Module):
    """A low-rank addition around a linear layer, whose weight it shows as peft's layers do."""

    def __init__(self, base_layer: nn.Linear):
        super().__init__()
        self.base_layer = base_layer
        rows, columns = base_layer.weight.shape
        generator = torch.Generator().manual_seed(0)
        self.down = nn.Parameter(0.1 * torch.randn(2, columns, generator=generator))
        self.up = nn.Parameter(0.1 * torch.randn(rows, 2, generator=generator))

    @property
    def weight(self) -> nn.Parameter:
        return self.base_layer.weight

    @property
    def bias(self) -> nn.Parameter | None:
        return self.base_layer.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.base_layer(hidden) + hidden @ self.down.T @ self.up.T


def with_adapter(model: PreTrainedModel, name: str) -> PreTrainedModel:
    """An adapter around every layer of a name."""
    for place, module in list(model.named_modules()):
        if place.endswith(name):
            parent = model.get_submodule(place.rpartition(".")[0]) if "." in place else model
            setattr(parent, place.rpartition(".")[2], Adapter(module))
    return model


def small_qwen() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 40}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    return Qwen2ForCausalLM(Qwen2Config(**sizes, **heads, eos_token_id=1))


@pytest.mark.parametrize("before", [True, False], ids=["before the door", "after it"])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_an_adapter_is_obeyed_with_and_without_gradient(name: str, before: bool):
    """Log-probabilities and gradients are those of transformers' own model with the same adapter."""
    prompt, answer = [3, 4, 5], [6, 7, 8, 9]
    plain = with_adapter(small_qwen(), name)
    logits = plain(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    expected = logits.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None])[:, 0]
    expected.sum().backward()

    model = small_qwen()
    policy = adapted_policy(with_adapter(model, name)) if before else adapted_policy(model)
    if not before:
        with_adapter(policy.model, name)
    tree = PrefixTree.build([prompt], [[answer]])
    with torch.no_grad():
        torch.testing.assert_close(policy.logprobs(tree)[0], expected.detach(), atol=1e-5, rtol=1e-5)
        with policy.kernels.sampling(policy.model):
            torch.testing.assert_close(policy.logprobs(tree)[0], expected.detach(), atol=1e-5, rtol=1e-5)
    logp, _ = policy.logprobs(tree)
    logp.sum().backward()
    theirs = dict(plain.named_parameters())
    for parameter_name, parameter in policy.model.named_parameters():
        gradient = theirs[parameter_name].grad
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)
    assert any(key.endswith("up") and value.grad.abs().max() > 0 for key, value in theirs.items())


def adapted_policy(model: PreTrainedModel) -> Policy:
    return Policy(model.eval(), load_policy("embedded").tokenizer)


def test_pefts_own_adapters_are_obeyed():
    settings = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    policy = adapted_policy(small_qwen())
    tree = PrefixTree.build([[3, 4, 5]], [[[6, 7, 8]]])
    before = policy.logprobs(tree)[0].detach()
    torch.manual_seed(0)
    peft.get_peft_model(policy.model, settings)
    after, _ = policy.logprobs(tree)
    after.sum().backward()
    assert (after.detach() - before).abs().max() > 1e-3
    lora = [p for name, p in policy.model.named_parameters() if "lora_" in name]
    assert lora and all(parameter.grad.abs().max() > 0 for parameter in lora)


def test_only_exactly_known_layers_are_exchanged():
    class Own(nn.Linear):
        pass

    model = small_qwen()
    model.model.layers[0].self_attn.q_proj = Own(32, 32)
    kernels = optimize(model)
    assert isinstance(kernels, CPUKernels)
    assert type(model.model.layers[0].self_attn.q_proj) is Own
    assert type(model.model.layers[0].self_attn.k_proj) is Linear
    names = list(model.state_dict())
    assert names == list(copy.deepcopy(model).state_dict())


def test_a_hook_on_a_projection_is_called(policy: Policy):
    seen = []
    for layer in policy.model.model.layers:
        layer.self_attn.k_proj.register_forward_hook(lambda *_: seen.append("k"))
        layer.mlp.down_proj.register_forward_hook(lambda *_: seen.append("down"))
    policy.logprobs(PrefixTree.build([[5, 6]], [[[7, 8]]]))
    assert seen.count("k") == seen.count("down") == len(policy.model.model.layers)


def test_row_counts_by_hand():
    rows = (1, 32, 33, 250, 257, 512, 513, 4000, 4097)
    small = [64, 64, 64, 256, 320, 512, 576, 4096, 4608]
    large = [8, 32, 40, 256, 272, 512, 544, 4096, 4352]
    assert [padded_row_count(count, small=True) for count in rows] == small
    assert [padded_row_count(count, small=False) for count in rows] == large


@pytest.mark.parametrize(("small", "finest", "part", "most"), [(True, 64, 8, 60), (False, 8, 16, 140)])
def test_there_are_few_row_counts_and_little_is_added(small: bool, finest: int, part: int, most: int):
    sizes = {padded_row_count(rows, small) for rows in range(1, 16384)}
    assert len(sizes) < most
    assert all(padded_row_count(size, small) == size for size in sizes)
    added = {rows: padded_row_count(rows, small) - rows for rows in range(1, 16384)}
    assert all(more <= max(finest - 1, rows / part) for rows, more in added.items())


def test_a_small_policy_sees_few_numbers_of_rows(frozen_policy: Policy):
    seen = set()
    embed = frozen_policy.model.get_input_embeddings()
    hook = embed.register_forward_hook(lambda module, inputs, output: seen.add(inputs[0].shape[1]))
    for length in range(1, 70):
        tree = PrefixTree.build([[5] * length], [[[6, 7]]])
        hidden = frozen_policy.hidden(tree.tokens_T, tree.positions_T, BlockAttention(tree))
        assert len(hidden) == length + 1
    hook.remove()
    assert seen == {64, 128}


def test_sizes_of_chunks_by_hand():
    """8 MiB of float32 logits, unless that is fewer than 128 tokens; never much more than 32 MiB.

    5000 / 3 = 1667 rounds up to 14 x 128, as few weights do, 5000 / 10 = 500 to 16 x 32, 400 / 4 to 13 x 8.
    """

    def rows(tokens: int, vocabulary: int, dtype: torch.dtype = torch.float32) -> int:
        head = nn.Linear(64, vocabulary, device="meta")
        return CPUKernels().head_rows(torch.empty(tokens, 64, dtype=dtype), head)

    assert rows(5000, 1024) == 1792
    assert rows(5000, 4097) == 512
    assert rows(400, 16384) == rows(400, 49152) == rows(400, 49152, torch.bfloat16) == 104
    assert rows(70, 131072) == 40
    assert rows(17, 2**24) == 8


def test_a_model_that_will_be_moved_to_a_gpu_stays_transformers_own():
    """With several ranks it is loaded on the CPU, sharded, and only then moved."""
    policy = load_policy("embedded", runs_on="cuda")
    assert not isinstance(policy.kernels, CPUKernels)
    assert type(policy.model.model.layers[0].mlp).__module__.startswith("transformers.")
    assert type(policy.model.model.layers[0].self_attn.q_proj) is nn.Linear
