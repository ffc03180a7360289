"""Rows of zeros around products of few weights change nothing but the number of kernels."""

import pytest
import torch
from torch.nn import functional

from rlvr.policy.attention import PackedLayout
from rlvr.policy.cpu.linear import FEW_WEIGHTS, logits, rounded
from rlvr.policy.policy import Policy


@pytest.mark.parametrize(("few", "finest", "part", "most"), [(True, 64, 8, 60), (False, 8, 16, 140)])
def test_there_are_few_sizes_and_little_is_added(few: bool, finest: int, part: int, most: int):
    sizes = {rounded(rows, few) for rows in range(1, 16384)}
    assert len(sizes) < most
    assert all(rounded(size, few) == size for size in sizes)
    assert all(rounded(rows, few) - rows <= max(finest - 1, rows / part) for rows in range(1, 16384))


@pytest.mark.parametrize("rows", [1, 64, 75, 300])
@pytest.mark.parametrize("few", [True, False])
def test_logits_and_gradients_are_torchs(rows: int, few: bool):
    generator = torch.Generator().manual_seed(rows)
    vocabulary = 40 if few else FEW_WEIGHTS // 64 + 1
    hidden = torch.randn(rows, 64, generator=generator, requires_grad=True)
    head = torch.randn(vocabulary, 64, generator=generator, requires_grad=True)
    gradient = torch.randn(rows, vocabulary, generator=generator)

    expected, ours = functional.linear(hidden, head), logits(hidden, head)[:rows]
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(logits(hidden, head)[:rows], expected, atol=1e-4, rtol=1e-4)
    for one, other in zip(
        torch.autograd.grad(ours, (hidden, head), gradient),
        torch.autograd.grad(expected, (hidden, head), gradient),
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
    assert seen == {64, 128}
