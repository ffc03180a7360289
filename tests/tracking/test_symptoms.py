import math

import pytest

from rlvr.tracking.symptoms import symptoms

SOUND = {
    "update/loss": 0.01,
    "update/gradient_norm": 0.5,
    "update/effective_sample_size": 0.98,
    "mismatch/effective_sample_size": 1.0,
    "policy/entropy": 0.8,
    "groups/without_signal": 0.6,
    "groups/all_right": 0.2,
    "groups/all_wrong": 0.4,
    "completion/truncated": 0.01,
    "verdict/correct": 0.3,
    "verdict/wrong": 0.7,
}


def steps(count: int = 40, **changes: float) -> list[dict[str, float]]:
    """A run whose second half is changed."""
    changes = {name.replace("__", "/"): value for name, value in changes.items()}
    return [{"step": i, **SOUND, **(changes if i > count // 2 else {})} for i in range(1, count + 1)]


def test_a_sound_run_has_no_symptom():
    assert symptoms(steps()) == []
    assert symptoms([]) == []
    assert symptoms(steps(policy__entropy=0.081)) == []  # a little more than a tenth


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"policy__entropy": 0.079}, "entropy collapse: 0.079 nats a token, from 0.8"),
        ({"mismatch__effective_sample_size": 0.9}, "between engine and trainer: effective sample size 0.90"),
        ({"update__effective_sample_size": 0.4}, "within the updates: effective sample size 0.40"),
        (
            {"groups__without_signal": 1.0, "groups__all_wrong": 0.75, "groups__all_right": 0.25},
            "100% of the groups have no signal (25% all right, 75% all wrong)",
        ),
        ({"verdict__no_answer": 0.95, "groups__without_signal": 1.0}, "95% of the completions hold no"),
        ({"verdict__timeout": 0.05}, "the verifier timed out for 5.0% of the rollouts"),
        ({"verdict__error": 0.02}, "the verifier failed for 2.0%"),
        ({"verdict__reference_unparsable": 0.5}, "the reference answer could not be read for 50.0%"),
        ({"completion__truncated": 0.9}, "90% of the completions are cut off"),
        ({"update__gradient_norm": math.nan}, "update/gradient_norm is not a number"),
    ],
)
def test_each_symptom_is_said_once(changes: dict[str, float], sentence: str):
    (found,) = symptoms(steps(**changes))
    assert sentence in found


def test_one_bad_step_is_not_a_symptom():
    """A tenth of the window with 5 % of timeouts is 0.5 % of it."""
    run = steps()
    run[-1] |= {"verdict/timeout": 0.05, "groups/without_signal": 1.0, "update/effective_sample_size": 0.1}
    assert symptoms(run) == []


def test_entropy_is_compared_only_after_enough_steps():
    assert symptoms(steps(count=12, policy__entropy=0.01)) == []


def test_a_run_on_verl_has_metrics_of_other_names():
    assert symptoms([{"step": i, "actor/pg_loss": 0.1} for i in range(1, 41)]) == []
