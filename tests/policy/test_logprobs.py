"""Log-probabilities of a prefix tree against transformers' own of each sequence alone."""

import random

import pytest
import torch
from torch import nn

from rlvr.policy.kernels import Kernels
from rlvr.policy.logprobs import head_logprobs
from rlvr.policy.policy import Policy
from rlvr.policy.prefix_tree import PrefixTree


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


@pytest.mark.parametrize("seed", [0, 1])
def test_log_probabilities_and_gradients_equal_the_unpacked_ones(policy: Policy, seed: int):
    policy.model.double()  # norms and softmax stay in float32
    prompts, completions = ragged_groups(seed)
    tree = PrefixTree.build(prompts, completions)
    weights = torch.randn(len(tree.prefix_M), generator=torch.Generator().manual_seed(seed)).double()

    expected = reference_logprobs(policy, prompts, completions)
    (expected * weights).sum().backward()
    expected_gradients = [parameter.grad.clone() for parameter in policy.model.parameters()]
    policy.model.zero_grad()
    logp_M, _ = policy.logprobs(tree)
    (logp_M * weights).sum().backward()

    torch.testing.assert_close(logp_M.detach().double(), expected.detach(), atol=2e-6, rtol=2e-6)
    for parameter, gradient in zip(policy.model.parameters(), expected_gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=5e-5, rtol=1e-4)


@torch.no_grad()
def test_a_completion_does_not_see_its_neighbours(frozen_policy: Policy):
    prompts, completions = ragged_groups(2)
    together, _ = frozen_policy.logprobs(PrefixTree.build(prompts, completions))
    alone, _ = frozen_policy.logprobs(PrefixTree.build([prompts[3]], [[completions[3][1]]]))

    before = len(flat(completions[:3])) + len(completions[3][0])
    torch.testing.assert_close(together[before : before + len(alone)], alone, atol=2e-6, rtol=2e-6)


def test_what_is_shared_stands_in_the_row_once_and_last_tokens_not_at_all():
    tree = PrefixTree.build([[10, 11], [12]], [[[20, 21, 22], [30], [20, 21, 23], [20, 21, 22]], [[20, 21]]])

    assert tree.tokens_T.tolist() == [10, 11, 20, 21, 12, 20]
    assert tree.positions_T.tolist() == [0, 1, 2, 3, 0, 1]
    assert tree.subtree_end_T.tolist() == [4, 4, 4, 4, 6, 6]
    # prefixes: 20, 20 21, 20 21 22, 20 21 23, 30; then, after the other prompt, 20, 20 21
    assert tree.targets_N.tolist() == [20, 21, 22, 23, 30, 20, 21]
    assert tree.predictor_N.tolist() == [1, 2, 3, 3, 1, 4, 5]
    assert tree.prefix_M.tolist() == [0, 1, 2, 4, 0, 1, 3, 0, 1, 2, 5, 6]


def test_every_token_is_the_last_of_its_prefix():
    _, completions = ragged_groups(4)
    tree = PrefixTree.build([[1]] * 5, completions)

    assert tree.targets_N[tree.prefix_M].tolist() == flat(completions)
    distinct = {
        (group, *answer[: end + 1])
        for group, answers in enumerate(completions)
        for answer in answers
        for end in range(len(answer))
    }
    assert len(tree.targets_N) == len(distinct) < len(tree.prefix_M)


@pytest.mark.parametrize("with_entropy", [False, True])
def test_chunks_do_not_change_log_probabilities_or_gradients(policy: Policy, with_entropy: bool):
    """Chunks are computed again in the backward; a single one is not."""
    tree = PrefixTree.build(*ragged_groups(3))

    class SevenRows(type(policy.kernels)):
        def head_rows(self, hidden_NE: torch.Tensor, head: nn.Linear) -> int:
            return 7

        def softmax_rows(self, rows: int, vocabulary: int) -> int:
            return 3

    def gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        policy.model.zero_grad()
        logp_M, entropy_M = policy.logprobs(tree)
        (logp_M.square().sum() + (entropy_M.sin().sum() if with_entropy else 0)).backward()
        return logp_M.detach(), [parameter.grad.clone() for parameter in policy.model.parameters()]

    whole = gradients()
    policy.kernels = SevenRows()
    chunked = gradients()
    torch.testing.assert_close(chunked[0], whole[0], atol=1e-6, rtol=2e-6)
    for one, other in zip(chunked[1], whole[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


class OneRow(Kernels):
    def head_rows(self, hidden_NE: torch.Tensor, head: nn.Linear) -> int:
        return 1


@pytest.mark.parametrize("kernels", [Kernels(), OneRow()], ids=["one chunk", "chunks of one"])
def test_log_probabilities_and_entropies_are_autograds(kernels: Kernels):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 4, generator=generator)
    targets = torch.tensor([0, 6, 2, 2, 1])
    weights = torch.randn(2, 5, generator=generator)
    results = []
    for ours in (True, False):
        head = nn.Linear(4, 7, bias=False)
        head.weight.data = torch.linspace(-1, 1, 28).view(7, 4)
        leaf = hidden.clone().requires_grad_()
        if ours:
            logp, entropy = head_logprobs(leaf, head, targets, kernels)
        else:
            everything = head(leaf).log_softmax(-1)
            logp = everything.gather(-1, targets[:, None])[:, 0]
            entropy = -(everything.exp() * everything).sum(-1)
        (weights[0] @ logp + weights[1] @ entropy).backward()
        results.append((logp.detach(), entropy.detach(), leaf.grad, head.weight.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_a_head_alone_can_be_trained():
    head = nn.Linear(4, 7)
    head_logprobs(torch.ones(3, 4), head, torch.tensor([0, 1, 2]))[0].sum().backward()
    assert head.weight.grad.abs().max() > 0


def test_the_backward_leaves_no_logits():
    hidden_CE = torch.randn(3, 4).requires_grad_()
    logp_C, _ = head_logprobs(hidden_CE, nn.Linear(4, 5), torch.tensor([0, 4, 2]))
    node = logp_C.grad_fn.next_functions[0][0]  # behind the slice that takes padding off
    assert node.single is not None
    logp_C.sum().backward()
    assert node.single is None


def test_entropy_by_hand():
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    hidden = torch.tensor([[0.0, 0.0], [torch.log(torch.tensor(3.0)), 0.0]])
    logprobs, entropy = head_logprobs(hidden, head, torch.tensor([0, 1]))

    # uniform: ln 2; probabilities 3/4, 1/4: ln 4 - 3/4 ln 3
    torch.testing.assert_close(logprobs, torch.tensor([-0.6931472, -1.3862944]))
    torch.testing.assert_close(entropy, torch.tensor([0.6931472, 0.5623351]))
