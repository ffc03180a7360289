import numpy as np
import pytest
import torch
from scipy import stats

from rlvr.errors import UserError
from rlvr.theory.simulation import (
    PAPER_SETUP,
    CategoricalSetup,
    TouchedActions,
    _simulate_fast,
    _simulate_plain,
    simulate_categorical,
)

SMALL = CategoricalSetup(actions=300, correct_actions=40)


def recorded_fast_run(monkeypatch, setup, group_size, gamma, steps):
    """A fast run, and its draws as the plain method names answers: the anchor, correct ones, wrong ones."""
    draw, draws = TouchedActions.draw, []

    def recording_draw(policy, N, rng):
        entries, counts = draw(policy, N, rng)
        is_correct = policy.is_correct[: policy.size] == 1
        correct_label = np.cumsum(is_correct) - 2  # entry 0 stands for a class, the anchor is answer 0
        wrong_label = setup.correct_actions + np.cumsum(~is_correct) - 2
        labels = np.where(is_correct, correct_label, wrong_label)
        draws.append(torch.as_tensor(np.repeat(labels[entries], counts)))
        return entries, counts

    monkeypatch.setattr(TouchedActions, "draw", recording_draw)
    return _simulate_fast(setup, group_size, gamma, steps, np.random.default_rng(3)), draws


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("setup", "group_size", "steps"),
    [(SMALL, 2, 300), (SMALL, 16, 300), (SMALL, 1000, 100), (PAPER_SETUP, 256, 15), (PAPER_SETUP, 8192, 10)],
)
def test_for_the_same_draws_the_fast_method_is_the_plain_one(monkeypatch, setup, group_size, steps, gamma):
    fast, draws = recorded_fast_run(monkeypatch, setup, group_size, gamma, steps)
    assert {len(draw) for draw in draws} == {group_size}
    replay = iter(draws)
    plain = _simulate_plain(setup, gamma, steps, "ratio", lambda policy: next(replay))
    for metric in ("correct_mass", "retained_mass", "entropy"):
        np.testing.assert_allclose(getattr(fast, metric), getattr(plain, metric), rtol=1e-10, atol=1e-12)
    assert plain.correct_mass.std() > 1e-4  # something moved


def test_draws_follow_the_masses():
    policy, rng = TouchedActions(SMALL), np.random.default_rng(0)
    for _ in range(5):
        entries, counts = policy.draw(8, rng)
        policy.ascend(entries, counts * rng.normal(size=len(entries)))
    policy.logits[2 : policy.size] *= rng.uniform(0.5, 1.5, size=policy.size - 2)
    policy._refresh_mass()
    size, mass = policy.size, policy.mass[: policy.size].copy()
    assert policy.untouched.min() > 10

    entries, counts = policy.draw(20_000, rng)
    is_new = entries >= size
    observed = np.zeros(size)
    observed[entries[~is_new]] = counts[~is_new]
    for rest in (0, 1):
        of_class = is_new & (policy.is_correct[entries] == policy.is_correct[rest])
        observed[rest] = counts[of_class].sum()
        # Within a class the untouched answers are equally likely, and all get drawn here.
        assert stats.chisquare(counts[of_class]).pvalue > 1e-3
    assert stats.chisquare(observed, 20_000 * mass).pvalue > 1e-3


def test_a_first_draw_finds_as_many_answers_as_independent_draws_do():
    N, found = 200, []
    p = np.exp([SMALL.anchor_logit, *[SMALL.correct_logit] * 39, *[SMALL.wrong_logit] * 260])
    p /= p.sum()
    for seed in range(300):
        found.append(len(TouchedActions(SMALL).draw(N, np.random.default_rng(seed))[0]))
    expected = (1 - (1 - p) ** N).sum()
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / np.sqrt(len(found))


@pytest.mark.parametrize("group_size", [4, 64])
def test_both_methods_have_the_same_distribution(group_size):
    def finals(method):
        runs = [
            simulate_categorical(
                group_size=group_size, gamma=1.0, seed=seed, steps=40, setup=SMALL, method=method
            )
            for seed in range(50)
        ]
        return np.array([(run.correct_mass[-1], run.retained_mass[-1], run.entropy[-1]) for run in runs])

    fast, plain = finals("fast"), finals("plain")
    standard_error = np.sqrt((fast.var(axis=0, ddof=1) + plain.var(axis=0, ddof=1)) / 50)
    assert (abs(fast.mean(axis=0) - plain.mean(axis=0)) < 4 * standard_error).all()


@pytest.mark.parametrize("method", ["fast", "plain"])
def test_the_paper_s_starting_point(method):
    run = simulate_categorical(group_size=2, gamma=0, seed=0, steps=0, method=method)
    total = np.exp(5) + 9_999 * np.exp(3) + 118_000
    assert run.correct_mass == pytest.approx([1 - 118_000 / total], rel=1e-12)
    assert run.correct_mass[0] == pytest.approx(0.63008, abs=5e-6)
    assert run.retained_mass == pytest.approx([1], rel=1e-12)
    assert run.entropy[0] == pytest.approx(10.78, abs=5e-3)


def test_the_first_update_moves_each_drawn_answer_by_the_learning_rate():
    # Bias-corrected Adam starts with g / (|g| + eps), whatever the size of g.
    policy = TouchedActions(PAPER_SETUP)
    entries, counts = policy.draw(64, np.random.default_rng(0))
    before = policy.logits[: policy.size].copy()
    gradient = np.where(policy.is_correct[entries] == 1, 0.25, -0.5) * counts
    policy.ascend(entries, gradient)
    moved = policy.logits[: policy.size] - before
    assert moved[entries] == pytest.approx(0.01 * np.sign(gradient), rel=1e-6)
    assert (np.delete(moved, entries) == 0).all()


def test_no_answer_is_lost_or_counted_twice():
    policy, rng = TouchedActions(SMALL), np.random.default_rng(1)
    for _ in range(50):
        entries, counts = policy.draw(32, rng)
        policy.ascend(entries, counts * rng.normal(size=len(entries)))
        assert counts.sum() == 32 and len(set(entries)) == len(entries) and entries.min() >= 2
        assert policy.size - 2 + policy.untouched.sum() == SMALL.actions
        assert policy.is_correct[2 : policy.size].sum() + policy.untouched[0] == SMALL.correct_actions
        assert policy.mass[: policy.size].sum() == pytest.approx(1, rel=1e-12)
        assert policy.initial_mass[: policy.size].sum() == pytest.approx(
            policy.initial_correct_mass, rel=1e-12
        )


def test_a_run_is_a_function_of_its_seed():
    def masses(seed):
        return simulate_categorical(group_size=16, gamma=0, seed=seed, steps=20, setup=SMALL).correct_mass

    assert masses(0).shape == (21,)
    assert (masses(0) == masses(0)).all() and (masses(0) != masses(1)).any()


def test_groups_of_one_teach_nothing():
    run = simulate_categorical(group_size=1, gamma=0, seed=0, steps=20, setup=SMALL)
    assert np.ptp(run.correct_mass) < 1e-14


def test_the_literal_objective_lets_a_small_group_lose_correct_mass():
    # The reason for the position on p_j that the module's docstring takes.
    def change(objective):
        run = simulate_categorical(
            group_size=16, gamma=0, seed=0, steps=50, method="plain", objective=objective
        )
        return run.correct_mass[-1] - run.correct_mass[0]

    assert change("probability") < -0.01 < 0 < change("ratio")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group_size": 0}, "group size 0"),
        ({"group_size": 2.5}, "group size 2.5"),
        ({"gamma": -1.0}, "gamma -1.0"),
        ({"gamma": float("nan")}, "gamma nan"),
        ({"method": "fats"}, "did you mean fast"),
        ({"objective": "ratios"}, "did you mean ratio"),
        ({"objective": "probability"}, 'method "plain"'),
    ],
)
def test_arguments_that_are_not_accepted_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        simulate_categorical(**{"group_size": 4, "gamma": 0.0, "seed": 0, "steps": 1} | arguments)


def test_a_setup_needs_both_kinds_of_answers():
    with pytest.raises(UserError, match="8 correct of 8 actions"):
        CategoricalSetup(actions=8, correct_actions=8)
