import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.theory.categorical import (
    SampledStep,
    correct_mass_change,
    expected_baseline,
    expected_sampled_mass,
    expected_unsampled_square,
    logit_change,
    mass_change,
    unsampled_correct_mass_change,
)

rewards_of_the_paper = st.sampled_from([(1.0, 0.0), (1.0, -1.0)])
any_rewards = st.tuples(*[st.integers(-30, 30).map(lambda tenths: tenths / 10)] * 2)
seeds = st.integers(0, 2**32 - 1)
property_test = settings(max_examples=200, derandomize=True, deadline=None)


def random_instance(seed):
    """Logits of 2 to 40 actions with both kinds of answers, and the actions that a group sampled."""
    rng = np.random.default_rng(seed)
    actions = rng.integers(2, 41)
    logits = rng.normal(scale=rng.uniform(0.1, 3), size=actions)
    correct = rng.permutation(np.arange(actions) < rng.integers(1, actions))
    p = softmax(logits)
    group_size = int(rng.integers(1, 2 * actions))
    sampled = rng.multinomial(group_size, p) > 0
    return logits, p, correct, sampled, group_size


def softmax(logits):
    return torch.softmax(torch.as_tensor(logits, dtype=torch.float64), 0).numpy()


def exact_change(logits, direction, members):
    """The derivative, by automatic differentiation, of the members' softmax mass along `direction`."""
    z = torch.tensor(logits, requires_grad=True)
    torch.softmax(z, 0)[torch.as_tensor(members)].sum().backward()
    return (z.grad @ torch.as_tensor(direction)).item()


def assert_close(measured, exact, logits, direction):
    """To 1e-8 of the change, or of the rounding that its cancelling terms allow."""
    terms = float(softmax(logits) @ np.abs(direction))
    assert abs(measured - exact) <= 1e-8 * abs(exact) + 1e-14 * terms


@property_test
@given(seed=seeds, rewards=any_rewards)
def test_logit_change_is_the_gradient_of_the_sampled_objective(seed, rewards):
    logits, p, correct, sampled, N = random_instance(seed)
    R = torch.as_tensor(np.where(sampled, np.where(correct, *rewards), 0.0))
    z = torch.tensor(logits, requires_grad=True)
    (torch.softmax(z, 0) @ R / N).backward()
    measured = logit_change(
        p, correct, sampled, group_size=N, step_size=0.5, reward_correct=rewards[0], reward_wrong=rewards[1]
    )
    np.testing.assert_allclose(measured, 0.5 * z.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_an_unsampled_action_moves_against_the_baseline():
    p, correct, sampled = [0.5, 0.25, 0.25], [True, True, False], [True, False, False]
    # S_R = 0.5; eta/N = 1/2.
    change = logit_change(p, correct, sampled, group_size=2, step_size=1.0)
    assert change == pytest.approx([0.5 * 0.5 * 0.5, -0.5 * 0.25 * 0.5, -0.5 * 0.25 * 0.5], rel=1e-15)


@property_test
@given(seed=seeds, rewards=any_rewards)
def test_mass_changes_are_those_of_the_exact_softmax_step(seed, rewards):
    logits, p, correct, sampled, N = random_instance(seed)
    reward = {"reward_correct": rewards[0], "reward_wrong": rewards[1]}
    size = {"group_size": N, "step_size": 0.3}
    direction = logit_change(p, correct, sampled, **size, **reward)
    step = SampledStep.of(p, correct, sampled, **reward)

    exact = exact_change(logits, direction, correct)
    assert_close(mass_change(p, direction, correct), exact, logits, direction)
    assert_close(correct_mass_change(step, **size), exact, logits, direction)

    exact = exact_change(logits, direction, correct & ~sampled)
    assert_close(mass_change(p, direction, correct & ~sampled), exact, logits, direction)
    assert_close(unsampled_correct_mass_change(step, **size).total, exact, logits, direction)


def test_the_error_of_a_finite_step_is_of_second_order():
    logits, p, correct, sampled, N = random_instance(7)
    step = SampledStep.of(p, correct, sampled)

    def error(step_size):
        direction = logit_change(p, correct, sampled, group_size=N, step_size=step_size)
        moved = softmax(logits + direction)[correct & ~sampled].sum() - p[correct & ~sampled].sum()
        return moved - unsampled_correct_mass_change(step, group_size=N, step_size=step_size).total

    assert error(0.1) / error(0.05) == pytest.approx(4, rel=0.02)


@property_test
@given(seed=seeds, rewards=rewards_of_the_paper)
def test_signs_of_appendix_g(seed, rewards):
    _, p, correct, sampled, N = random_instance(seed)
    step = SampledStep.of(p, correct, sampled, reward_correct=rewards[0], reward_wrong=rewards[1])
    change = unsampled_correct_mass_change(step, group_size=N, step_size=1.0)
    assert step.reward_wrong - step.baseline <= 0 <= step.reward_correct - step.baseline
    assert change.drain <= 0 <= change.donation
    assert change.drift * step.baseline <= 0 <= change.rebound * step.baseline
    assert step.unsampled_correct_mass >= -1e-15


@property_test
@given(seed=seeds, rewards=rewards_of_the_paper)
def test_once_everything_is_sampled_the_correct_mass_cannot_fall(seed, rewards):
    _, p, correct, _, N = random_instance(seed)
    step = SampledStep.of(
        p, correct, np.ones_like(correct), reward_correct=rewards[0], reward_wrong=rewards[1]
    )
    assert correct_mass_change(step, group_size=N, step_size=1.0) >= 0
    assert abs(unsampled_correct_mass_change(step, group_size=N, step_size=1.0).total) < 1e-15


def test_a_group_on_a_few_correct_answers_drains_the_others_while_success_rises():
    # The policy of section 5.1 in small: equal correct leaves, a spread of wrong answers, two leaves sampled.
    p = np.array([0.063] * 10 + [0.37 / 118] * 118)
    correct = np.arange(128) < 10
    sampled = np.isin(np.arange(128), [0, 1, 100])
    step = SampledStep.of(p, correct, sampled)
    unsampled = unsampled_correct_mass_change(step, group_size=4, step_size=1.0)
    assert step.baseline > 0 > unsampled.drift
    assert unsampled.total < 0 < correct_mass_change(step, group_size=4, step_size=1.0)


def enumerate_groups(p, group_size):
    """Every sequence of draws, with its probability."""
    for draws in itertools.product(range(len(p)), repeat=group_size):
        yield list(draws), np.prod(p[list(draws)])


def conditional_means(p, correct, N, value):
    """E[value(set of draws) | X = k] for k = 0..N, summed over every sequence of draws."""
    weight, total = np.zeros(N + 1), np.zeros(N + 1)
    for draws, probability in enumerate_groups(p, N):
        successes = correct[draws].sum()
        weight[successes] += probability
        total[successes] += probability * value(sorted(set(draws)))
    return total / weight


SMALL_POLICY = np.array([0.05, 0.3, 0.15, 0.1, 0.4])
SMALL_CORRECT = np.array([True, True, False, True, False])


def test_lemma_h1_agrees_with_enumeration():
    p, correct, N = SMALL_POLICY, SMALL_CORRECT, 4
    by_successes = conditional_means(p, correct, N, lambda draws: (p * correct)[draws].sum())
    formula = [expected_sampled_mass(p[correct], k) for k in range(N + 1)]
    assert by_successes == pytest.approx(formula, rel=1e-12)
    by_successes = conditional_means(p, correct, N, lambda draws: (p * ~correct)[draws].sum())
    formula = [expected_sampled_mass(p[~correct], N - k) for k in range(N + 1)]
    assert by_successes == pytest.approx(formula, rel=1e-12)


@pytest.mark.parametrize("rewards", [(1.0, 0.0), (1.0, -1.0), (0.4, 2.0)])
def test_corollary_h2_agrees_with_enumeration(rewards):
    p, correct, N = SMALL_POLICY, SMALL_CORRECT, 4

    def baseline(draws):
        return (p * np.where(correct, *rewards))[draws].sum()

    formula = [
        expected_baseline(
            p, correct, group_size=N, successes=k, reward_correct=rewards[0], reward_wrong=rewards[1]
        )
        for k in range(N + 1)
    ]
    assert conditional_means(p, correct, N, baseline) == pytest.approx(formula, rel=1e-12)


def test_unsampled_square_agrees_with_enumeration():
    p, N = SMALL_POLICY, 4
    mean = sum(
        probability * np.square(np.delete(p, draws)).sum() for draws, probability in enumerate_groups(p, N)
    )
    assert expected_unsampled_square(p, N) == pytest.approx(mean, rel=1e-12)


def test_a_class_of_one_answer_is_sampled_by_its_first_draw():
    assert expected_sampled_mass([0.3], 0) == 0
    assert expected_sampled_mass([0.3], 1) == pytest.approx(0.3, rel=1e-15)


@property_test
@given(seed=seeds, rewards=rewards_of_the_paper)
def test_expectations_are_monotone_in_the_successes(seed, rewards):
    _, p, correct, _, N = random_instance(seed)
    successes = range(N + 1)
    rising = [expected_sampled_mass(p[correct], k) for k in successes]
    falling = [expected_sampled_mass(p[~correct], N - k) for k in successes]
    baseline = [
        expected_baseline(
            p, correct, group_size=N, successes=k, reward_correct=rewards[0], reward_wrong=rewards[1]
        )
        for k in successes
    ]
    assert (np.diff(rising) >= -1e-15).all() and (np.diff(falling) <= 1e-15).all()
    assert (np.diff(baseline) >= -1e-15).all()
