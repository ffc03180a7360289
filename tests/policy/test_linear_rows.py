"""Rows of zeros around products of few weights change nothing but the number of kernels."""

import pytest
import torch
from torch.nn import functional

from rlvr.policy.attention import PackedLayout
from rlvr.policy.linear import FEW_WEIGHTS, linear, rounded
from rlvr.policy.policy import Policy


def test_sizes_by_hand():
    assert [rounded(rows) for rows in (1, 32, 33, 250, 257, 512, 513, 4000, 4097)] == [
        32,
        32,
        64,
        256,
        288,
        512,
        576,
        4096,
        4608,
    ]


def test_there_are_few_sizes_and_little_is_added():
    sizes = {rounded(rows) for rows in range(1, 16384)}
    assert len(sizes) < 60
    assert all(rounded(size) == size for size in sizes)
    assert all(rounded(rows) - rows <= max(31, rows / 8) for rows in range(1, 16384))


@pytest.mark.parametrize("rows", [1, 32, 45, 300])
@pytest.mark.parametrize("few", [True, False])
def test_outputs_and_gradients_are_torchs(rows: int, few: bool):
    generator = torch.Generator().manual_seed(rows)
    outputs = 40 if few else FEW_WEIGHTS // 64 + 1
    inputs = torch.randn(rows, 64, generator=generator, requires_grad=True)
    weight = torch.randn(outputs, 64, generator=generator, requires_grad=True)
    bias = torch.randn(outputs, generator=generator, requires_grad=True)
    gradient = torch.randn(rows, outputs, generator=generator)
    parts = inputs, weight, bias

    expected = functional.linear(*parts)
    ours = linear(*parts)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    for one, other in zip(
        torch.autograd.grad(ours, parts, gradient),
        torch.autograd.grad(expected, parts, gradient),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_a_small_policy_sees_few_sizes_of_rows(frozen_policy: Policy):
    seen = set()
    embed = frozen_policy.model.get_input_embeddings()
    hook = embed.register_forward_hook(lambda module, inputs, output: seen.add(inputs[0].shape[1]))
    for length in range(1, 70):
        layout = PackedLayout([[5] * length], [[[6, 7]]])
        hidden = frozen_policy.hidden(layout.tokens_T, layout.positions_T, layout)
        assert len(hidden) == length + 1
    hook.remove()
    assert seen == {32, 64, 96}
