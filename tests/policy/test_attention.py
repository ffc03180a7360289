"""Attention by products on a CPU against torch's fused attention, outputs and gradients."""

import random

import pytest
import torch

from rlvr.policy.attention import NARROW, PackedLayout, widened


def packed(prompt_lengths: range) -> PackedLayout:
    """Groups of four, of which two begin alike; completions of 2 to 9 tokens."""
    rng = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [rng.randrange(100) for _ in range(count)]

    prompts = [tokens(rng.choice(prompt_lengths)) for _ in range(3)]
    completions = [[tokens(rng.randrange(2, 10)) for _ in range(4)] for _ in prompts]
    for group in completions:
        group[1] = group[0][:2] + group[1]
    return PackedLayout(prompts, completions)


def outputs_and_gradients(layout: PackedLayout, dtype: torch.dtype) -> list[torch.Tensor]:
    """Four query heads on two of keys and values; the row is longer than what is attended to."""
    generator = torch.Generator().manual_seed(1)
    rows = [
        torch.randn(len(layout) + 3, heads, 8, generator=generator).to(dtype).requires_grad_()
        for heads in (4, 2, 2)
    ]
    output_THD = layout.attend(0, *rows, 0.3)
    output_THD.backward(torch.randn(output_THD.shape, generator=generator).to(dtype))
    return [output_THD.detach(), *(row.grad for row in rows)]


@pytest.mark.parametrize("prompts", [range(1, 8), range(NARROW, 30)], ids=["narrow", "wide"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.04)], ids=["float32", "bfloat16"]
)
def test_products_say_what_fused_attention_does(
    prompts: range, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
):
    ours = outputs_and_gradients(packed(prompts), dtype)
    monkeypatch.setattr("rlvr.policy.attention.SHORT", 0)
    fused = outputs_and_gradients(packed(prompts), torch.float32)

    for one, other in zip(ours, fused, strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(one.float(), other, atol=tolerance, rtol=tolerance)


def test_gradients_of_attention_in_float64():
    """Prompts alone, and with completions; the softmax is in float32, so differences are coarse."""
    generator = torch.Generator().manual_seed(2)
    for completions in ([[[]], [[]]], [[[7, 8], [7, 9, 5]], [[6, 5]]]):
        layout = PackedLayout([[1, 2, 3], [4, 5]], completions)
        rows = [
            torch.randn(len(layout), heads, 4, generator=generator).double().requires_grad_()
            for heads in (2, 1, 1)
        ]
        assert torch.autograd.gradcheck(
            lambda *rows, layout=layout: layout.attend(0, *rows, 0.5), rows, eps=1e-2, atol=1e-3, rtol=1e-2
        )


def test_a_softmax_has_enough_columns():
    assert widened(torch.ones(2, 3, dtype=torch.bool)).sum(-1).tolist() == [3, 3]
    assert widened(torch.ones(2, 3)).shape == (2, NARROW)
    assert widened(torch.ones(2, NARROW + 1)).shape == (2, NARROW + 1)
