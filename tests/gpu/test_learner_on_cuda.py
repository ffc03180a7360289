"""The learner on CUDA against the learner on the CPU, on one batch."""

import pytest
import torch
from padded_batch import moved_policy, off_policy_groups, rlvr_step
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.policy.policy import load_policy
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner

VERDICTS = [
    [RIGHT, WRONG, WRONG, RIGHT],
    [RIGHT, RIGHT],
    [WRONG, LOST, RIGHT, WRONG],
    [RIGHT, WRONG, RIGHT, RIGHT, RIGHT],
]


def cosine(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    one, other = (
        torch.cat([gradients[name].double().flatten() for name in ours]) for gradients in (ours, theirs)
    )
    return (one @ other / (one.norm() * other.norm())).item()


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm=dapo", "advantage_scaling=focal"],
        ["algorithm=cispo", "credit=process_lambda"],
        ["algorithm=dr_grpo", "training.max_tokens_per_micro_batch=30"],
        ["algorithm=grpo", "algorithm.entropy_coefficient=0.1"],
    ],
    ids=["dapo, focal", "cispo, process sets", "dr_grpo, micro-batches", "entropy bonus"],
)
def test_a_step_is_that_of_the_cpu(overrides: list[str], device: str):
    groups = off_policy_groups(VERDICTS)
    (loss, gradients), (expected, expected_gradients) = (
        rlvr_step(groups, overrides, device=place) for place in (device, "cpu")
    )
    assert loss == pytest.approx(expected, rel=1e-4)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-3, atol=1e-5)


def test_a_step_with_a_kl_term_is_that_of_the_cpu(device: str):
    groups = off_policy_groups(VERDICTS)
    (loss, gradients), (expected, expected_gradients) = (
        rlvr_step(groups, ["algorithm.kl_coefficient=0.05"], moved_policy(place), device=place)
        for place in (device, "cpu")
    )
    assert loss == pytest.approx(expected, rel=1e-4)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-3, atol=1e-5)


def test_a_step_in_bfloat16_points_where_float32_does(device: str):
    groups = off_policy_groups(VERDICTS)
    _, exact = rlvr_step(groups, ["algorithm=grpo"], device=device)
    _, rounded = rlvr_step(groups, ["algorithm=grpo", "training.precision=bfloat16"], device=device)
    assert 0.9 < cosine(rounded, exact) < 1 - 1e-9


def test_metrics_of_two_updates_are_those_of_the_cpu(device: str):
    settings = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-4"]
    config = load_config(settings)
    metrics = []
    for place in (device, "cpu"):
        learner = Learner(load_policy("embedded", device=place), config)
        metrics.append([learner.update(make_batch(make_groups(VERDICTS, seed), config)) for seed in (3, 4)])
    for ours, expected in zip(*metrics, strict=True):
        assert ours == pytest.approx(expected, rel=2e-3, abs=1e-4)
        assert ours["update/gradient_norm"] > 0.01
