"""An optimizer's state in a checkpoint: whole, by one process, or in shards, by several.

Either is loaded by any number of processes. Shards are those of torch.distributed.checkpoint, one folder of
files that every rank writes its part of; the folder has to be on a disk that all ranks share.
"""

from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from rlvr.training.distributed.ranks import world_size

FOLDER = "optimizer"
Optimizer = torch.optim.Optimizer


def save_optimizer(model: nn.Module, optimizer: Optimizer, folder: Path) -> None:
    """Write the shards; all ranks call it. Nothing is written before the first step."""
    shards = {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    if shards:
        dcp.save(shards, checkpoint_id=folder / FOLDER)


def load_optimizer(
    model: nn.Module, optimizer: Optimizer, whole: dict[str, Any] | None, folder: Path
) -> None:
    """Take over a state that was saved whole, or else the shards in a checkpoint's folder.

    Args:
        whole: the `state_dict` of an unsharded optimizer; None where there are shards.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if whole is not None:
        state = whole["state"]
    elif (folder / FOLDER).is_dir():
        state = _read_shards(model, parameters, folder / FOLDER)
    else:
        return
    optimizer.load_state_dict(
        {
            "state": {
                i: {key: _like(value, parameters[i]) for key, value in entries.items()}
                for i, entries in state.items()
            },
            "param_groups": whole["param_groups"] if whole else optimizer.state_dict()["param_groups"],
        }
    )


def _read_shards(
    model: nn.Module, parameters: list[nn.Parameter], folder: Path
) -> dict[int, dict[str, Tensor]]:
    saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    names = {parameter: name for name, parameter in model.named_parameters()}
    shards: dict[str, Tensor] = {}
    for name, tensor in saved.items():
        owner = next(p for p in parameters if name.startswith(names[p] + "/"))
        shards[name] = torch.zeros_like(owner) if tensor.size == owner.shape else torch.zeros(tensor.size)
    dcp.load(shards, checkpoint_id=folder, no_dist=world_size() == 1)
    return {
        i: {
            name.rpartition("/")[2]: value
            for name, value in shards.items()
            if name.startswith(names[parameter] + "/")
        }
        for i, parameter in enumerate(parameters)
    }


def _like(value: Tensor, parameter: nn.Parameter) -> Tensor:
    """A whole tensor sharded as its parameter is."""
    if not isinstance(parameter, DTensor) or isinstance(value, DTensor) or value.shape != parameter.shape:
        return value
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
