"""Optimizers whose state is elsewhere, or smaller: against AdamW, bit for bit where they are the same."""

import copy
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny_runs import tiny
from torch import nn
from torch.optim import Optimizer
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.config.schema import TrainingConfig
from rlvr.errors import UserError
from rlvr.policy.policy import load_policy
from rlvr.training import optimizers
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner
from rlvr.training.optimizers import OnDevice, build_optimizer, set_learning_rate, state_bytes, state_tensors
from rlvr.training.setup import open_training

needs_torchao = pytest.mark.skipif(
    find_spec("torchao") is None, reason="torchao is not installed: rlvr[8bit]"
)
SHAPES = [(64, 96), (96,), (), (32, 300)]


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def optimizer_of(name: str, weights: list[nn.Parameter]) -> Optimizer:
    return build_optimizer(weights, TrainingConfig(optimizer=name, learning_rate=1e-2, weight_decay=0.1))


def take(optimizer: Optimizer, weights: list[nn.Parameter], steps: range) -> None:
    """Steps, gradients and learning rate a function of their number; once a parameter has no gradient."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for number, weight in enumerate(weights):
            weight.grad = torch.randn(weight.shape, generator=generator)
            if step == 2 and number == 1:
                weight.grad = None
        set_learning_rate(optimizer, 1e-2 / (1 + step))
        optimizer.step()
        optimizer.zero_grad()


def assert_equal(weights: list[nn.Parameter], others: list[nn.Parameter]) -> None:
    assert all(one.equal(other) for one, other in zip(weights, others, strict=True))


def test_state_in_host_memory_gives_the_bits_of_adamw_and_either_goes_on_from_the_other():
    ours, theirs = parameters(), parameters()
    host, plain = optimizer_of("adamw_host", ours), optimizer_of("adamw", theirs)
    take(host, ours, range(4))
    take(plain, theirs, range(4))
    assert_equal(ours, theirs)
    states = copy.deepcopy((host.state_dict(), plain.state_dict()))
    for i, entries in states[1]["state"].items():
        assert all(states[0]["state"][i][key].equal(value) for key, value in entries.items())

    host, plain = optimizer_of("adamw_host", ours), optimizer_of("adamw", theirs)
    host.load_state_dict(states[1])
    plain.load_state_dict(states[0])
    take(host, ours, range(4, 6))
    take(plain, theirs, range(4, 6))
    assert_equal(ours, theirs)
    assert not ours[0].equal(parameters()[0])


def test_all_state_in_host_memory_is_pinned(monkeypatch: pytest.MonkeyPatch):
    """A copy to any other memory is waited for, at every parameter."""
    pinned: list[torch.Tensor] = []
    monkeypatch.setattr(optimizers, "on_host", lambda tensor: pinned.append(tensor.clone()) or pinned[-1])
    weights = parameters()
    host = optimizer_of("adamw_host", weights)
    take(host, weights, range(1))
    kept = [tensor for weight in weights for tensor in host.state[weight].values()]
    assert len(kept) == 3 * len(weights)
    assert {id(tensor) for tensor in kept} == {id(tensor) for tensor in pinned}


@pytest.mark.parametrize("name", ["adamw", pytest.param("adamw_8bit", marks=needs_torchao)])
def test_state_that_was_away_is_what_it_was(name: str, monkeypatch: pytest.MonkeyPatch):
    ours, theirs = parameters(), parameters()
    moved, plain = optimizer_of(name, ours), optimizer_of(name, theirs)
    state = OnDevice(moved, enabled=True)
    for steps in (range(2), range(2, 4)):
        with state():
            take(moved, ours, steps)
        take(plain, theirs, steps)
        moments = [
            tensor for weight in ours for tensor in state_tensors(moved, weight).values() if tensor.dim()
        ]
        assert moments and all(tensor.untyped_storage().nbytes() == 0 for tensor in moments)
    assert_equal(ours, theirs)
    with monkeypatch.context() as patch:
        patch.delattr(OnDevice, "_fetch")  # an engine has the device by now
        saved = state.state_dict()
    away = {memory.data_ptr() for weight in ours for memory in state.tensors(weight).values() if memory.dim()}
    written = saved["state"][0]["exp_avg"]
    assert getattr(written, "codes", written).data_ptr() in away  # host memory has it once
    with state():
        for one, other in zip(ours, theirs, strict=True):
            expected = state_tensors(plain, other)
            assert all(expected[key].equal(tensor) for key, tensor in state_tensors(moved, one).items())
    again = optimizer_of(name, ours)
    again.load_state_dict(saved)
    take(again, ours, range(4, 6))
    take(plain, theirs, range(4, 6))
    assert_equal(ours, theirs)


def test_a_learner_gives_the_same_bits_wherever_its_state_is(tmp_path: Path):
    groups = make_groups([[RIGHT, WRONG, WRONG], [WRONG, RIGHT], [RIGHT, RIGHT, WRONG], [WRONG, RIGHT]])
    sizes = ["training.prompts_per_step=4", "training.mini_batch_prompts=2", "training.learning_rate=1e-3"]

    def updated(name: str, away: bool) -> tuple[dict, list[torch.Tensor], dict]:
        config = load_config([*sizes, f"training.optimizer={name}"])
        learner = Learner(load_policy("embedded"), config)
        learner.optimizer_state.enabled = away
        metrics = [learner.update(make_batch(groups, config)) for _ in range(2)]
        assert learner.not_finite() is None
        return metrics, list(learner.policy.model.parameters()), learner.state_dict(tmp_path)

    plain, *others = updated("adamw", False), updated("adamw_host", False), updated("adamw", True)
    for metrics, weights, state in others:
        assert metrics == plain[0]
        assert_equal(weights, plain[1])
        for i, entries in plain[2]["optimizer"]["state"].items():
            assert all(state["optimizer"]["state"][i][key].equal(value) for key, value in entries.items())


@needs_torchao
def test_moments_in_8_bits_take_a_quarter_and_go_on_bit_for_bit(tmp_path: Path):
    ours, theirs = parameters(), parameters()
    small, plain = optimizer_of("adamw_8bit", ours), optimizer_of("adamw", theirs)
    take(small, ours, range(1))
    take(plain, theirs, range(1))
    for one, other in zip(ours, theirs, strict=True):  # of the first step nothing has been rounded yet
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    moments = state_tensors(small, ours[0])
    bytes_of_moments = sum(tensor.nbytes for key, tensor in moments.items() if key != "step")
    assert bytes_of_moments == state_bytes("adamw_8bit").device * ours[0].numel()

    torch.save(small.state_dict(), tmp_path / "state.pt")
    again, weights = None, [nn.Parameter(weight.detach().clone()) for weight in ours]
    again = optimizer_of("adamw_8bit", weights)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    take(small, ours, range(1, 4))
    take(again, weights, range(1, 4))
    assert_equal(weights, ours)
    assert not ours[0].equal(parameters()[0])


def test_a_checkpoint_of_state_that_is_away_leaves_it_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = load_config(["training.prompts_per_step=2", "training.mini_batch_prompts=2"])
    learner = Learner(load_policy("embedded"), config)
    learner.optimizer_state.enabled = True
    learner.update(make_batch(make_groups([[RIGHT, WRONG], [WRONG, RIGHT]]), config))
    monkeypatch.delattr(OnDevice, "_fetch")
    assert learner.not_finite() is None
    assert learner.state_dict(tmp_path)["optimizer"]["state"][0]["exp_avg"].any()
    weight = learner.policy.model.model.layers[1].mlp.up_proj.weight
    learner.optimizer_state.tensors(weight)["exp_avg"][2, 1] = torch.inf
    assert learner.not_finite() == "exp_avg of model.layers.1.mlp.up_proj.weight"


@needs_torchao
def test_a_broken_scale_is_found():
    config = load_config(["training.optimizer=adamw_8bit"])
    learner = Learner(load_policy("embedded"), config)
    for weight in learner.policy.model.parameters():
        weight.grad = torch.ones_like(weight)
    learner.optimizer.step()
    assert learner.not_finite() is None
    weight = learner.policy.model.model.layers[1].mlp.up_proj.weight
    learner.optimizer.state[weight]["exp_avg"].scale[3] = torch.inf
    assert learner.not_finite() == "exp_avg.scale of model.layers.1.mlp.up_proj.weight"


def test_without_torchao_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.optim", None)
    with pytest.raises(UserError, match=r"rlvr\[8bit\].*training\.optimizer=adamw_host"):
        optimizer_of("adamw_8bit", parameters())


def test_weights_in_16_bits_are_refused_or_what_they_lose_is_said(tmp_path: Path, capsys):
    """At 1e-6 three steps in float16 moved a weight by 0.3; in bfloat16 they moved 1 % of them."""

    def opened(*overrides: str) -> str:
        open_training(tiny(tmp_path, "training.learning_rate=1e-6", *overrides), None)
        return " ".join(capsys.readouterr().err.split())

    with pytest.raises(UserError, match=r"accepted are model\.dtype=float32, .*adapter=lora"):
        opened("model.dtype=float16")
    assert "lost on weights larger than 0.00051" in opened("model.dtype=bfloat16")
    assert opened("model.dtype=float16", "adapter=lora") == opened() == ""
    near = torch.tensor([0.0009, 0.0004], dtype=torch.bfloat16)  # one above 2^9 steps, and one below
    assert ((near + 1e-6) == near).tolist() == [True, False]
