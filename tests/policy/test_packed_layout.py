"""The packed forward, every distinct prefix once and no padding, against transformers' own padded one."""

import random

import pytest
import torch

from rlvr.policy.attention import PackedLayout
from rlvr.policy.policy import Policy
from rlvr.policy.token_logprobs import (
    backward_through_head,
    chunks_of,
    logprobs_and_entropy,
    token_logprobs,
)


def ragged_groups(seed: int) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Prompts and completions of all lengths; among them a completion of one token, a group of one, and a
    group with common beginnings, two equal completions and one that is the beginning of another."""
    rng = random.Random(seed)

    def tokens(count: int) -> list[int]:
        return [rng.randrange(5, 200) for _ in range(count)]

    prompts = [tokens(rng.randrange(1, 15)) for _ in range(5)]
    completions = [[tokens(rng.randrange(1, 10)) for _ in range(size)] for size in (1, 4, 2, 3, 5)]
    completions[1][2] = tokens(1)
    one, other = tokens(6), tokens(4)
    completions[4] = [one + tokens(2), other, one[:3] + tokens(4), other, one, one[:1]]
    return prompts, completions


def flat(completions: list[list[list[int]]]) -> list[int]:
    return [token for answers in completions for answer in answers for token in answer]


def reference_logprobs(policy: Policy, prompts, completions) -> torch.Tensor:
    """One sequence at a time through transformers' eager attention, rollout after rollout [M]."""
    policy.model.set_attn_implementation("eager")
    parts = []
    for prompt, answers in zip(prompts, completions, strict=True):
        for answer in answers:
            logits = policy.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            parts.append(logits.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None])[:, 0])
    policy.model.set_attn_implementation("rlvr_layout")
    return torch.cat(parts)


def packed_hidden(policy: Policy, layout: PackedLayout) -> torch.Tensor:
    return policy.hidden(layout.tokens_T, layout.positions_T, layout)[layout.predictor_N]


@pytest.mark.parametrize("seed", [0, 1])
def test_log_probabilities_and_gradients_equal_the_unpacked_ones(policy: Policy, seed: int):
    policy.model.double()  # norms and softmax stay in float32
    prompts, completions = ragged_groups(seed)
    layout = PackedLayout(prompts, completions)
    weights = torch.randn(len(layout.prefix_M), generator=torch.Generator().manual_seed(seed)).double()
    weights_N = torch.zeros(len(layout.targets_N)).double().index_add(0, layout.prefix_M, weights)

    expected = reference_logprobs(policy, prompts, completions)
    (expected * weights).sum().backward()
    expected_gradients = [parameter.grad.clone() for parameter in policy.model.parameters()]
    policy.model.zero_grad()
    logprobs_N, _ = backward_through_head(
        packed_hidden(policy, layout),
        policy.head,
        layout.targets_N,
        lambda logp, _, chunk: (logp * weights_N[chunk]).sum(),
    )

    torch.testing.assert_close(logprobs_N[layout.prefix_M].double(), expected.detach(), atol=2e-6, rtol=2e-6)
    for parameter, gradient in zip(policy.model.parameters(), expected_gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=5e-5, rtol=1e-4)


def test_a_completion_does_not_see_its_neighbours(frozen_policy: Policy):
    prompts, completions = ragged_groups(2)
    together = PackedLayout(prompts, completions)
    alone = PackedLayout([prompts[3]], [[completions[3][1]]])
    logprobs_N = token_logprobs(
        packed_hidden(frozen_policy, together), frozen_policy.head, together.targets_N
    )
    own_N = token_logprobs(packed_hidden(frozen_policy, alone), frozen_policy.head, alone.targets_N)

    before = len(flat(completions[:3])) + len(completions[3][0])
    torch.testing.assert_close(
        logprobs_N[together.prefix_M][before : before + len(own_N)],
        own_N[alone.prefix_M],
        atol=2e-6,
        rtol=2e-6,
    )


def test_what_is_shared_stands_in_the_row_once_and_last_tokens_not_at_all():
    layout = PackedLayout([[10, 11], [12]], [[[20, 21, 22], [30], [20, 21, 23], [20, 21, 22]], [[20, 21]]])

    assert layout.tokens_T.tolist() == [10, 11, 12, 20, 21, 20]
    assert layout.positions_T.tolist() == [0, 1, 0, 2, 3, 1]
    # prefixes: 20, 20 21, 20 21 22, 20 21 23, 30; then, after the other prompt, 20, 20 21
    assert layout.targets_N.tolist() == [20, 21, 22, 23, 30, 20, 21]
    assert layout.predictor_N.tolist() == [1, 3, 4, 4, 1, 2, 5]
    assert layout.prefix_M.tolist() == [0, 1, 2, 4, 0, 1, 3, 0, 1, 2, 5, 6]


def test_every_token_is_the_last_of_its_prefix():
    _, completions = ragged_groups(4)
    layout = PackedLayout([[1]] * 5, completions)

    assert layout.targets_N[layout.prefix_M].tolist() == flat(completions)
    distinct = {
        (group, *answer[: end + 1])
        for group, answers in enumerate(completions)
        for answer in answers
        for end in range(len(answer))
    }
    assert len(layout.targets_N) == len(distinct) < len(layout.prefix_M)


def test_chunks_do_not_change_log_probabilities_or_gradients(policy: Policy, monkeypatch: pytest.MonkeyPatch):
    prompts, completions = ragged_groups(3)
    layout = PackedLayout(prompts, completions)

    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        policy.model.zero_grad()
        logprobs, _ = backward_through_head(
            packed_hidden(policy, layout),
            policy.head,
            layout.targets_N,
            lambda logp, _, chunk: logp.square().sum(),
        )
        return logprobs, [parameter.grad.clone() for parameter in policy.model.parameters()]

    whole = gradients()
    monkeypatch.setattr(
        "rlvr.policy.token_logprobs.chunks",
        lambda count, *_: [slice(i, i + 7) for i in range(0, count, 7)],  # of head and softmax alike
    )
    chunked = gradients()
    torch.testing.assert_close(chunked[0], whole[0], atol=1e-6, rtol=2e-6)
    for one, other in zip(chunked[1], whole[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_sizes_of_chunks_by_hand():
    """8 MiB of float32 logits, unless that is fewer than 128 tokens; never much more than 32 MiB.

    5000 / 3 = 1667 rounds up to 14 x 128, as few weights do, 5000 / 10 = 500 to 16 x 32, 400 / 4 to 13 x 8.
    """

    def sizes(tokens: int, vocabulary: int, dtype: torch.dtype = torch.float32) -> list[int]:
        head = torch.empty(vocabulary, 64, device="meta")
        return [len(range(tokens)[c]) for c in chunks_of(torch.empty(tokens, 64, dtype=dtype), head)]

    assert sizes(5000, 1024) == [1792, 1792, 1416]
    assert sizes(5000, 4097) == [512] * 9 + [392]
    assert sizes(400, 16384) == [104, 104, 104, 88]
    assert sizes(400, 49152) == sizes(400, 49152, torch.bfloat16) == [104, 104, 104, 88]
    assert sizes(70, 131072) == [40, 30]
    assert sizes(17, 2**24) == [8, 8, 1]
    assert sizes(0, 1024) == []


def test_a_chunk_leaves_no_logits():
    hidden_CE, head_VE = torch.randn(3, 4).requires_grad_(), torch.randn(5, 4)
    logprobs_C, _ = logprobs_and_entropy(hidden_CE, head_VE, torch.tensor([0, 4, 2]))
    assert logprobs_C.grad_fn.probabilities_CV.shape == (64, 5)  # 3, rounded up
    logprobs_C.sum().backward()
    assert logprobs_C.grad_fn.probabilities_CV is None


def test_entropy_by_hand():
    head = torch.eye(2)
    hidden = torch.tensor([[0.0, 0.0], [torch.log(torch.tensor(3.0)), 0.0]])
    logprobs, entropy = logprobs_and_entropy(hidden, head, torch.tensor([0, 1]))

    # uniform: ln 2; probabilities 3/4, 1/4: ln 4 - 3/4 ln 3
    torch.testing.assert_close(logprobs, torch.tensor([-0.6931472, -1.3862944]))
    torch.testing.assert_close(entropy, torch.tensor([0.6931472, 0.5623351]))
