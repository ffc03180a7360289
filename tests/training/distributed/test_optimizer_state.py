"""Where the shards of optimizer state are while a checkpoint is written and read."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard

from rlvr.config.schema import TrainingConfig
from rlvr.errors import UserError
from rlvr.files.atomic import user_errors_for
from rlvr.training.distributed import optimizer_state
from rlvr.training.distributed.optimizer_state import load_optimizer, save_optimizer
from rlvr.training.optimizers import OnDevice, build_optimizer


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def stepped(optimizer: str = "adamw") -> tuple[nn.Module, torch.optim.Optimizer]:
    """A model after a step of its optimizer."""
    model = nn.Linear(3, 2)
    built = build_optimizer(list(model.parameters()), TrainingConfig(optimizer=optimizer, learning_rate=1e-3))
    model(torch.ones(3)).sum().backward()
    built.step()
    return model, built


def test_a_full_disk_is_said_of_shards_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    model, optimizer = stepped()
    monkeypatch.setattr(os, "fsync", full)  # which torch calls for each shard
    with pytest.raises(UserError, match="no space left on the disk"), user_errors_for(tmp_path):
        save_optimizer(model, OnDevice(optimizer, enabled=False), tmp_path)


def test_a_checkpoint_waits_for_the_blocks_of_all_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else rank 0 takes digests, and renames the folder, while others still write into it."""
    model, optimizer = stepped()
    optimizer.block_size = 256  # as the one of 8 bits has
    there: list[list[str]] = []

    def noted(_: None) -> None:
        there.append([file.name for file in (tmp_path / "optimizer").iterdir()])

    monkeypatch.setattr(optimizer_state, "gather", noted)
    save_optimizer(model, OnDevice(optimizer, enabled=False), tmp_path)
    assert there == [["rank-0-of-1.pt"]]


def test_moments_in_host_memory_are_written_and_read_there(mesh: DeviceMesh, tmp_path: Path):
    """Parameters are on the meta device, where whatever is moved to it is lost."""
    model = nn.Module()
    whole = torch.empty(5, 3, device="meta")
    model.weight = nn.Parameter(DTensor.from_local(whole, mesh, [Shard(0)]))
    training = TrainingConfig(optimizer="adamw_host", learning_rate=1e-3)
    optimizer, sharded, full = (build_optimizer([model.weight], training) for _ in range(3))
    moments = {"step": torch.tensor(2.0), "exp_avg": torch.randn(5, 3), "exp_avg_sq": torch.rand(5, 3)}
    optimizer.state[model.weight] = dict(moments)

    save_optimizer(model, OnDevice(optimizer, enabled=False), tmp_path)
    load_optimizer(model, sharded, None, tmp_path)
    groups = optimizer.state_dict()["param_groups"]
    load_optimizer(model, full, {"state": {0: moments}, "param_groups": groups}, tmp_path)
    for loaded in (sharded, full):
        assert all(loaded.state[model.weight][key].equal(value) for key, value in moments.items())
