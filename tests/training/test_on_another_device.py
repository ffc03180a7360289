"""Whole updates on a device where no tensor of the CPU may be met: as on the CPU."""

from contextlib import nullcontext

import pytest
from another_device import another_device, on_cuda
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.algorithms import LOSSES
from rlvr.algorithms.mismatch import MISMATCH_WEIGHTS
from rlvr.config import load_config
from rlvr.policy.policy import load_policy
from rlvr.training.batch import make_batch
from rlvr.training.layers import prepare_layers
from rlvr.training.learner import Learner

VERDICTS = [[RIGHT, WRONG, WRONG], [RIGHT, RIGHT], [WRONG, LOST, RIGHT, WRONG], [RIGHT, WRONG]]
SIZES = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-4"]
HALF = "training.precision=bfloat16"


def places(monkeypatch: pytest.MonkeyPatch) -> list:
    """A policy and the context it works in: on the other device, and on the CPU by the same kernels."""
    there, here = (load_policy("embedded", runs_on="cuda") for _ in range(2))
    return [(on_cuda(there), another_device(monkeypatch)), (here, nullcontext())]


def assert_updates_are_those_of_the_cpu(places: list, overrides: list[str]) -> None:
    config = load_config([*SIZES, "training.attention=efficient", *overrides])
    found = []
    for policy, context in places:
        with context:
            prepare_layers(policy, config, on_cuda=True)
            learner = Learner(policy, config)
            # the second update meets moments, and weights that have changed
            updates = [learner.update(make_batch(make_groups(VERDICTS, seed), config)) for seed in (3, 4)]
            assert learner.not_finite() is None
        found.append(updates)
    for ours, expected in zip(*found, strict=True):
        assert ours == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert ours["update/gradient_norm"] > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss: str, monkeypatch: pytest.MonkeyPatch):
    assert_updates_are_those_of_the_cpu(places(monkeypatch), [f"algorithm={loss}"])


# but flex, an operator of operators, which no mode of tests sees into
@pytest.mark.parametrize("attention", ["varlen", "efficient", "blocks", "dense"])
def test_every_attention(attention: str, monkeypatch: pytest.MonkeyPatch):
    overrides = [HALF, f"training.attention={attention}"]
    assert_updates_are_those_of_the_cpu(places(monkeypatch), overrides)


@pytest.mark.parametrize("weights", MISMATCH_WEIGHTS)
def test_every_weight_between_engine_and_trainer(weights: str, monkeypatch: pytest.MonkeyPatch):
    overrides = ["algorithm.mismatch_cap=2.0", f"algorithm.mismatch_weights={weights}"]
    assert_updates_are_those_of_the_cpu(places(monkeypatch), overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm.kl_coefficient=0.1", "algorithm.entropy_coefficient=0.1"],
        ["training.max_tokens_per_micro_batch=20"],
        ["training.optimizer=adamw_host"],
        ["training.offload_optimizer=true"],
    ],
    ids=["terms", "micro-batches", "adamw_host", "offloaded state"],
)
def test_every_other_way(overrides: list[str], monkeypatch: pytest.MonkeyPatch):
    assert_updates_are_those_of_the_cpu(places(monkeypatch), overrides)
