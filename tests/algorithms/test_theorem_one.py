"""λ-GRPO, theorem 1: token-normalised GRPO is a process reward model, in loss and gradient.

The policy here is a table of logits, one row a prefix, so that completions share the probabilities of the
tokens they share, as those of a language model do. `theta` is that table, and every gradient is by it.
"""

import hypothesis.strategies as st
import torch
from hypothesis import given, settings

from rlvr.algorithms import (
    group_relative_advantages,
    grpo_token_loss,
    kl_k3,
    process_set_sizes,
    process_step_advantages,
)

VOCABULARY = 3
UNCLIPPED = {"clip_low": 1.0, "clip_high": float("inf")}


class PrefixPolicy:
    """Log-probabilities of completions under three tables of logits: trained, old and reference."""

    def __init__(self, completions, seed):
        prefixes = {tuple(row[:t]) for row in completions for t in range(len(row))}
        row_of = {prefix: i for i, prefix in enumerate(sorted(prefixes))}
        self.context = torch.tensor([row_of[tuple(row[:t])] for row in completions for t in range(len(row))])
        self.token = torch.tensor([token for row in completions for token in row])
        tables = torch.randn(
            3,
            len(row_of),
            VOCABULARY,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float64,
        )
        self.theta, self.old, self.reference = tables[0].requires_grad_(), tables[1], tables[2]

    def logp(self, table):
        return table.log_softmax(-1)[self.context, self.token]

    def token_loss(self, token_advantages, beta, bounds=UNCLIPPED):
        logp = self.logp(self.theta)
        policy = grpo_token_loss(logp, self.logp(self.old), token_advantages, **bounds)
        return policy + beta * kl_k3(logp, self.logp(self.reference))

    def gradient(self, loss):
        return torch.autograd.grad(loss, self.theta)[0]


def outcome_and_step_advantages(completions, rewards):
    """Each token's rollout advantage, and its process step's."""
    rewards = torch.tensor(rewards, dtype=torch.float64)
    advantages = group_relative_advantages(rewards, torch.zeros(len(rewards), dtype=torch.int64))
    lengths = torch.tensor([len(row) for row in completions])
    return advantages.repeat_interleave(lengths), torch.cat(process_step_advantages(completions, rewards))


@st.composite
def scored_groups(draw):
    """Up to 8 short completions over 3 tokens: shared prefixes, duplicates and empties come by themselves."""
    completions = draw(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=8))
    if not any(completions):
        completions = [*completions, [0]]
    reward = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
    rewards = draw(st.lists(reward, min_size=len(completions), max_size=len(completions)))
    return completions, rewards


@settings(derandomize=True, deadline=None, max_examples=200)
@given(scored_groups(), st.integers(0, 10_000), st.sampled_from([0.0, 0.04]))
def test_grpo_equals_its_process_reward_form(group, seed, beta):
    completions, rewards = group
    policy = PrefixPolicy(completions, seed)
    outcome, step = outcome_and_step_advantages(completions, rewards)
    grpo = policy.token_loss(outcome, beta).mean()
    process = policy.token_loss(step, beta).mean()
    torch.testing.assert_close(grpo, process, atol=1e-10, rtol=0)
    torch.testing.assert_close(policy.gradient(grpo), policy.gradient(process), atol=1e-10, rtol=0)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(scored_groups(), st.integers(0, 10_000), st.sampled_from([0.0, 0.04]))
def test_lambda_grpo_counts_each_shared_token_once(group, seed, beta):
    completions, rewards = group
    policy = PrefixPolicy(completions, seed)
    outcome, step = outcome_and_step_advantages(completions, rewards)
    weight = 1 / torch.cat(process_set_sizes(completions)).double()
    lambda_grpo = (weight * policy.token_loss(outcome, beta)).mean()

    paths = [tuple(row[: t + 1]) for row in completions for t in range(len(row))]
    once = torch.tensor([paths.index(path) for path in sorted(set(paths))])
    over_the_tree = policy.token_loss(step, beta)[once].sum() / len(paths)
    torch.testing.assert_close(lambda_grpo, over_the_tree, atol=1e-10, rtol=0)
    torch.testing.assert_close(
        policy.gradient(lambda_grpo), policy.gradient(over_the_tree), atol=1e-10, rtol=0
    )


@settings(derandomize=True, deadline=None)
@given(scored_groups())
def test_advantages_of_a_process_set_add_up_to_its_steps(group):
    completions, rewards = group
    outcome, step = outcome_and_step_advantages(completions, rewards)
    sizes = torch.cat(process_set_sizes(completions))
    paths = [tuple(row[: t + 1]) for row in completions for t in range(len(row))]
    for path in set(paths):
        members = torch.tensor([i for i, other in enumerate(paths) if other == path])
        torch.testing.assert_close(outcome[members].sum(), (sizes * step)[members[0]], atol=1e-10, rtol=0)


def test_without_shared_tokens_nothing_changes():
    completions = [[0, 1], [1, 1, 2], [2]]
    outcome, step = outcome_and_step_advantages(completions, [1.0, 0.0, 0.0])
    torch.testing.assert_close(outcome, step)
    assert torch.cat(process_set_sizes(completions)).tolist() == [1] * 6


def differences(policy, completions, rewards, aggregate, bounds=UNCLIPPED):
    """Largest difference in loss and in gradient between the outcome and the process-reward form."""
    losses = [
        aggregate(policy.token_loss(advantages, 0.0, bounds))
        for advantages in outcome_and_step_advantages(completions, rewards)
    ]
    gradients = [policy.gradient(loss) for loss in losses]
    return (losses[0] - losses[1]).abs().item(), (gradients[0] - gradients[1]).abs().max().item()


def test_it_fails_when_each_sequence_is_normalised_by_its_own_length():
    def sequence_mean(completions):
        lengths = [len(row) for row in completions]
        return lambda loss: torch.stack([row.mean() for row in loss.split(lengths)]).mean()

    uneven, even = [[0, 1], [0, 2, 1, 1]], [[0, 1, 1], [0, 2, 1]]
    policy = PrefixPolicy(uneven, seed=0)
    assert min(differences(policy, uneven, [1.0, 0.0], sequence_mean(uneven))) > 1e-2
    assert max(differences(policy, uneven, [1.0, 0.0], torch.mean)) < 1e-10
    # Unequal lengths are to blame.
    policy = PrefixPolicy(even, seed=0)
    assert max(differences(policy, even, [1.0, 0.0], sequence_mean(even))) < 1e-10


def test_it_fails_while_the_clip_is_active():
    completions = [[0, 1], [0, 2]]
    policy = PrefixPolicy(completions, seed=0)
    with torch.no_grad():
        # The shared first token becomes far more likely than it was: of its two rollouts, only the one
        # with a positive advantage is clipped.
        policy.theta.copy_(policy.old)
        policy.theta[policy.context[0], 0] += 3.0
    clip = {"clip_low": 0.2, "clip_high": 0.2}
    assert min(differences(policy, completions, [1.0, 0.0], torch.mean, clip)) > 1e-2
    assert max(differences(policy, completions, [1.0, 0.0], torch.mean)) < 1e-10
