"""Deterministic training: the same bits twice, and no trace of it afterwards."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import tiny_runs
import torch
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.policy.policy import load_policy
from rlvr.runs.run import run
from rlvr.training.batch import make_batch
from rlvr.training.determinism import configure_gpu
from rlvr.training.learner import Learner

VARIABLES = (
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),
    *("CUBLAS_WORKSPACE_CONFIG", "VLLM_BATCH_INVARIANT"),
)
SETTINGS = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-3"]


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables, as they were again after the test."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


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


def test_what_libraries_read_when_they_begin(unset: None):
    configure_gpu(load_config(["rollout=vllm"]))
    assert "PYTORCH_CUDA_ALLOC_CONF" not in os.environ and os.environ["VLLM_BATCH_INVARIANT"] == "0"
    configure_gpu(load_config(["rollout=vllm", "rollout.sleep=false", "training.deterministic=true"]))
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    assert (os.environ["CUBLAS_WORKSPACE_CONFIG"], os.environ["VLLM_BATCH_INVARIANT"]) == (":4096:8", "1")


@pytest.mark.parametrize("name", ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"])
def test_an_allocator_that_somebody_has_configured_is_left_alone(
    unset: None, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, "garbage_collection_threshold:0.8")
    configure_gpu(load_config())
    assert {n: os.environ[n] for n in VARIABLES[:2] if n in os.environ} == {
        name: "garbage_collection_threshold:0.8"
    }


def test_the_allocator_is_configured_before_cuda_begins(
    unset: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The process group of several ranks begins it."""
    seen = []

    @contextmanager
    def process_group():
        seen.append(os.environ.get("PYTORCH_CUDA_ALLOC_CONF"))
        yield

    monkeypatch.setattr("rlvr.runs.run.process_group", process_group)
    run(tiny_runs.tiny(tmp_path, "training.steps=0", "evaluation.after_training=false"))
    assert seen == ["expandable_segments:True"]


def test_kernels_of_vllm_are_those_of_a_run_or_it_is_refused(unset: None, monkeypatch: pytest.MonkeyPatch):
    """They are exchanged where vLLM is imported, for the whole process."""
    plain, invariant = ["rollout=vllm"], ["rollout=vllm", "training.deterministic=true"]
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    for overrides, expected in ((invariant, "1"), (plain, "0"), (invariant[1:], "0"), (invariant, "1")):
        configure_gpu(load_config(overrides))
        assert os.environ["VLLM_BATCH_INVARIANT"] == expected
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    configure_gpu(load_config(invariant))
    for overrides in (plain, []):
        with pytest.raises(UserError, match=r"deterministic=false with rollout=.*a process of its own"):
            configure_gpu(load_config(overrides))
    assert os.environ["VLLM_BATCH_INVARIANT"] == "1"
