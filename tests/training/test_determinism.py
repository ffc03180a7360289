"""Deterministic training: the same bits twice, and no trace of it afterwards."""

import os

import pytest
import torch
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.policy.policy import load_policy
from rlvr.training.batch import make_batch
from rlvr.training.determinism import configure_gpu
from rlvr.training.learner import Learner

SETTINGS = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-3"]


def weights_after(overrides: list[str]) -> list[torch.Tensor]:
    config = load_config([*SETTINGS, *overrides])
    learner = Learner(load_policy("embedded", runs_on="cuda"), config)
    modes = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: modes.append(torch.are_deterministic_algorithms_enabled())
    )
    learner.update(make_batch(make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5), config))
    assert modes == [config.training.deterministic] * 2
    assert not torch.are_deterministic_algorithms_enabled()
    return [weight.detach().clone() for weight in learner.policy.model.parameters()]


def test_the_same_bits_twice_and_on_a_cpu_those_of_any_run():
    first, again = (weights_after(["training.deterministic=true"]) for _ in range(2))
    plain = weights_after([])
    for one, other, third in zip(first, again, plain, strict=True):
        assert torch.equal(one, other) and torch.equal(one, third)


def test_what_libraries_read_when_they_begin(monkeypatch: pytest.MonkeyPatch):
    for name in ("PYTORCH_CUDA_ALLOC_CONF", "CUBLAS_WORKSPACE_CONFIG", "VLLM_BATCH_INVARIANT"):
        monkeypatch.delenv(name, raising=False)
    configure_gpu(load_config(["rollout=vllm"]))
    assert "PYTORCH_CUDA_ALLOC_CONF" not in os.environ and "VLLM_BATCH_INVARIANT" not in os.environ
    configure_gpu(load_config(["rollout=vllm", "rollout.sleep=false", "training.deterministic=true"]))
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert (os.environ["CUBLAS_WORKSPACE_CONFIG"], os.environ["VLLM_BATCH_INVARIANT"]) == (":4096:8", "1")
