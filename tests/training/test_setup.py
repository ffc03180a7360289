"""What a run works with, as it is at a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_runs
import torch

from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path
from rlvr.training.learner import Learner
from rlvr.training.setup import configure_process, open_training, overlaps


def test_the_engine_rests_while_a_checkpoint_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Optimizer state that leaves the GPU for an engine comes through it."""
    config = tiny_runs.tiny(tmp_path, "training.steps=1", "evaluation.after_training=false")
    path = run(config)
    done: list[str] = []

    def note(owner: type, name: str) -> None:
        call = getattr(owner, name)

        def noted(*arguments, **named):
            done.append(name)
            return call(*arguments, **named)

        monkeypatch.setattr(owner, name, noted)

    note(TransformersEngine, "rest")
    note(Learner, "load_state_dict")
    note(TransformersEngine, "update_weights")
    open_training(config, checkpoint_path(path, 1))
    assert done == ["rest", "load_state_dict", "update_weights"]


def test_sampling_and_update_overlap_on_a_gpu_but_not_with_vllm():
    ahead = ["training.off_policy_steps=1", "training.device=cuda"]
    assert overlaps(load_config(ahead))
    assert not overlaps(load_config([*ahead, "rollout=vllm"]))
    assert not overlaps(load_config([ahead[0], "training.device=cpu"]))
    assert not overlaps(load_config([ahead[1]]))


def test_the_gpu_of_a_run_is_that_of_what_names_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.training.setup.configure_gpu", lambda config: None)
    taken = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    for device in ("cpu", "cuda", "cuda:1"):
        configure_process(load_config([f"training.device={device}"]))
    assert taken == [torch.device("cuda:1")]
    assert load_config(["training.device=cuda:0", "rollout=vllm"]).training.device == "cuda:0"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (lambda: torch.autocast("cpu", dtype=torch.bfloat16), "in torch.autocast:"),
        (lambda: torch.autocast("cpu", enabled=False), "in torch.autocast:"),
        (torch.no_grad, "in torch.no_grad:"),
        (torch.inference_mode, "in torch.inference_mode:"),
        (lambda: default_dtype(torch.float64), "with a default dtype of torch.float64:"),
        (lambda: torch.device("meta"), "with meta as torch's default device:"),
    ],
)
def test_a_run_is_computed_as_its_config_says_or_not_at_all(setting, said: str, tmp_path: Path):
    """Under autocast it had other metrics and said nothing."""
    config = tiny_runs.tiny(tmp_path)
    with setting(), pytest.raises(UserError, match=f"a run was started {said} accepted is torch as it is"):
        run(config)
    configure_process(config)
    assert not list(tmp_path.iterdir())


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
