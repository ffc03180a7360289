"""Kernels that only a GPU has, against dense masks and plain layers; memory that really runs out."""

import pytest
import torch
from test_learner_on_cuda import VERDICTS, cosine
from training_groups import make_groups
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer

from rlvr.config import load_config
from rlvr.policy.attention import ATTENTIONS, DenseAttention
from rlvr.policy.policy import load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.training.batch import make_batch
from rlvr.training.layers import prepare_layers
from rlvr.training.learner import Learner


def tree(device: str) -> PrefixTree:
    """Three groups of four, 200 to 300 tokens each, some of which begin alike."""
    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> list[int]:
        return torch.randint(5, 200, (count,), generator=generator).tolist()

    completions = [[tokens(200 + 30 * i) for i in range(4)] for _ in range(3)]
    for group in completions:
        group[1] = group[0][:50] + group[1]
    return PrefixTree.build([tokens(40), tokens(7), tokens(130)], completions, device)


def outputs_and_gradients(layout, dtype: torch.dtype, device: str) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows = [
        torch.randn(len(layout), heads, 64, generator=generator).to(device, dtype).requires_grad_()
        for heads in (8, 2, 2)
    ]
    output_THD = layout.attend(0, *rows, 0.125)
    output_THD.backward(torch.randn(output_THD.shape, generator=generator).to(device, dtype))
    return [output_THD.detach(), *(row.grad for row in rows)]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("varlen", torch.bfloat16),
        *((name, torch.bfloat16) for name in ("auto", "efficient", "flex", "blocks")),
        *((name, torch.float32) for name in ("auto", "efficient", "flex", "blocks")),
    ],
)
def test_every_attention_says_what_the_whole_mask_does(name: str, dtype: torch.dtype, device: str):
    ours = outputs_and_gradients(ATTENTIONS[name](tree(device)), dtype, device)
    expected = outputs_and_gradients(DenseAttention(tree(device)), torch.float32, device)
    tolerance = 0.08 if dtype == torch.bfloat16 else 2e-3
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.float(), other, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.activation_checkpointing=true", "training.keep_attention=true"],
        ["training.activation_checkpointing=true", "training.offload_activations=true"],
        ["training.compile=true"],
        ["training.attention=flex"],
    ],
    ids=["attention kept", "offloaded", "compiled", "flex"],
)
def test_an_update_is_that_of_plain_layers(overrides: list[str], device: str):
    ours, _ = update_on(device, [*overrides, "training.precision=bfloat16"])
    plain, _ = update_on(device, ["training.precision=bfloat16"])
    assert cosine(ours, plain) > 0.99


def update_on(device: str, overrides: list[str]) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """Gradients of the first of two optimizer steps by name, and the weights after both."""
    settings = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-4"]
    config = load_config([*settings, *overrides])
    policy = load_policy("embedded", device=device)
    prepare_layers(policy, config, on_cuda=True)
    learner = Learner(policy, config)
    steps: list[dict[str, torch.Tensor]] = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: steps.append({name: weight.grad.clone() for name, weight in policy.weights()})
    )
    learner.update(make_batch(make_groups(VERDICTS, 3), config))
    return steps[0], [weight.detach().clone() for weight in policy.model.parameters()]


def test_deterministic_training_gives_the_same_bits_twice(device: str):
    overrides = ["training.deterministic=true", "training.precision=bfloat16"]
    (_, first), (_, again) = (update_on(device, overrides) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_memory_that_runs_out_halves_the_micro_batch(
    device: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """CUDA's own error, in the second layer of what is longer than 60 tokens."""
    plain, _ = update_on(device, [])
    forward, room = Qwen2DecoderLayer.forward, torch.cuda.get_device_properties(0).total_memory

    def run_out(layer, hidden, *arguments, **named):
        if len(named["layout"]) > 60:
            torch.empty(2 * room, dtype=torch.uint8, device=device)
        return forward(layer, hidden, *arguments, **named)

    monkeypatch.setattr(Qwen2DecoderLayer, "forward", run_out)
    ours, _ = update_on(device, [])
    assert "rlvr: CUDA out of memory with " in capsys.readouterr().err
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-3, atol=1e-5)
