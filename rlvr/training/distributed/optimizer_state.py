"""Optimizer state in a checkpoint: one full state dict (one process) or shards (several).

Either is loaded by any number of processes. Shards are a folder of torch.distributed.checkpoint, which every
rank writes its files to; the folder has to be on a disk that all ranks share.
"""

from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, distribute_tensor

from rlvr.errors import UserError
from rlvr.training.distributed.ranks import gather, local_shard, rank, world_size
from rlvr.training.optimizers import HostAdamW, OnDevice

FOLDER = "optimizer"
Optimizer = torch.optim.Optimizer


def save_optimizer(model: nn.Module, state: OnDevice, folder: Path) -> None:
    """Write the shards from where they are, a collective that ends when all are written. Nothing is written
    before the first step.

    Raises:
        OSError, RuntimeError: of whichever rank could not write, on all of them.
    """
    if state.optimizer.state and in_blocks(state.optimizer):
        own = {
            i: {key: local_shard(value) for key, value in entries.items()}
            for i, entries in state.state_dict()["state"].items()
        }
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        torch.save(own, folder / FOLDER / _file_of_rank())
        gather(None)  # rank 0 is about to take digests of all files, and to give the folder its name
        return
    host = _host_mesh()
    shards = {
        f"{name}/{key}": _as_shard(value, parameter, host if value.is_cpu else None)
        for name, parameter in model.named_parameters()
        for key, value in state.entries(parameter).items()
    }
    if not shards:
        return
    try:
        dcp.save(shards, checkpoint_id=folder / FOLDER)
    except CheckpointException as error:  # no Exception, and hides what happened, as that a disk is full
        reason, _ = next(iter(error.failures.values()))
        raise reason from error


def load_optimizer(model: nn.Module, optimizer: Optimizer, full: dict[str, Any] | None, folder: Path) -> None:
    """Load a full state dict, or else the shards in a checkpoint's folder.

    Args:
        full: the `state_dict` of an unsharded optimizer; None where there are shards.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    host = _host_mesh() if isinstance(optimizer, HostAdamW) else None
    if in_blocks(optimizer) and not _is_of_as_many_ranks(folder, full):
        raise UserError(
            f"{folder} has optimizer state in 8 bits, in blocks of as many processes as wrote it, which are "
            f"not {world_size()}: go on with that number"
        )
    if full is not None:
        state = full["state"]
    elif in_blocks(optimizer) and (folder / FOLDER).is_dir():
        state = torch.load(folder / FOLDER / _file_of_rank(), weights_only=True, map_location="cpu")
        state = {
            i: {key: _as_shard(value, parameters[i]) for key, value in entries.items()}
            for i, entries in state.items()
        }
    elif (folder / FOLDER).is_dir():
        state = _read_shards(model, parameters, folder / FOLDER, host)
    else:
        return
    optimizer.load_state_dict(
        {
            "state": {
                i: {key: _like(value, parameters[i], host) for key, value in entries.items()}
                for i, entries in state.items()
            },
            "param_groups": full["param_groups"] if full else optimizer.state_dict()["param_groups"],
        }
    )


def _read_shards(
    model: nn.Module, parameters: list[nn.Parameter], folder: Path, host: DeviceMesh | None
) -> dict[int, dict[str, Tensor]]:
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    owners = dict(model.named_parameters())
    shards: dict[str, Tensor] = {}
    for name, tensor in saved.items():
        owner = owners[name.rpartition("/")[0]]
        room = torch.zeros(tensor.size)
        if tensor.size == owner.shape:
            room = torch.zeros_like(local_shard(owner.detach()), device="cpu")
        shards[name] = _as_shard(room, owner, host)
    dcp.load(shards, checkpoint_id=folder, no_dist=world_size() == 1)
    entries: dict[nn.Parameter, dict[str, Tensor]] = {parameter: {} for parameter in parameters}
    for name, value in shards.items():
        of, _, key = name.rpartition("/")
        entries[owners[of]][key] = value
    return dict(enumerate(entries.values()))


def in_blocks(optimizer: Optimizer) -> bool:
    """Whether moments are in 8 bits: in blocks of a rank's own part of a parameter, not cut anew."""
    return hasattr(optimizer, "block_size")


def _file_of_rank() -> str:
    return f"rank-{rank()}-of-{world_size()}.pt"


def _is_of_as_many_ranks(folder: Path, full: dict[str, Any] | None) -> bool:
    if full is not None:
        return world_size() == 1
    return not (folder / FOLDER).is_dir() or (folder / FOLDER / _file_of_rank()).exists()


def _as_shard(value: Tensor, parameter: nn.Parameter, host: DeviceMesh | None = None) -> Tensor:
    """What a rank has of a moment as the shard that it is, on a mesh of CPUs or where its parameter is."""
    if not isinstance(parameter, DTensor) or isinstance(value, DTensor) or value.dim() == 0:
        return value
    mesh = host or parameter.device_mesh
    return DTensor.from_local(
        value.to(mesh.device_type),
        mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )


def _like(value: Tensor, parameter: nn.Parameter, host: DeviceMesh | None) -> Tensor:
    """A full tensor sharded as its parameter is, on a mesh of CPUs or there."""
    if not isinstance(parameter, DTensor) or isinstance(value, DTensor) or value.shape != parameter.shape:
        return value
    mesh = host or parameter.device_mesh
    return distribute_tensor(value.to(mesh.device_type), mesh, parameter.placements)


def _host_mesh() -> DeviceMesh | None:
    """All ranks as CPUs, for moments in host memory; None without a process group. A collective.

    A shard of another mesh is moved to its device, where the moments of all parameters would then be at once.
    """
    distributed = torch.distributed
    return init_device_mesh("cpu", (distributed.get_world_size(),)) if distributed.is_initialized() else None
