"""Which GPUs the runs of a sweep get, from any launcher: no two runs share one unless it is asked for."""

import fcntl
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rlvr.errors import UserError, say

WAIT_SECONDS = 1.0  # between looks for a GPU that is free

_leases: list[TextIO] = []  # open as long as this process lives, or the next run in it takes others


def placement(launcher: Any, given: Sequence[str], processes: int | None, gpus: int) -> tuple[list[str], int]:
    """Hydra's overrides that give each run its GPUs, and how many runs may share one (0: the launcher sees
    to it).

    Args:
        launcher: `hydra.launcher` as it is composed.
        given: overrides of a person, which go before those made here.
        processes: of each run, where it is given.
        gpus: of this machine.

    Raises:
        UserError: for more processes than there are GPUs for.
    """
    kind = launcher["_target_"].rpartition(".")[2]
    keys = {text.partition("=")[0].lstrip("+") for text in given}
    if kind == "SlurmLauncher":
        wanted = slurm_resources(launcher, keys, processes) if processes else {}
    elif kind == "RayLauncher":
        resource = "num_gpus" if "num_gpus" in launcher["remote"] else "num_cpus"
        wanted = {f"remote.{resource}": processes} if processes else {}
    else:
        return local_placement(launcher, keys, processes or 1, gpus)
    return overrides_of(wanted, keys), 0


def local_placement(launcher: Any, keys: set[str], processes: int, gpus: int) -> tuple[list[str], int]:
    """As many runs at a time as have GPUs of their own; more where `n_jobs` is given."""
    if gpus == 0:
        return [], 0
    refuse_too_many(processes, gpus)
    at_once = gpus // processes
    asked = int(launcher.get("n_jobs") or 0) if "hydra.launcher.n_jobs" in keys else 0
    if asked > 0:
        return [], max(math.ceil(asked * processes / gpus), 1)
    return (overrides_of({"n_jobs": at_once}, set()) if "n_jobs" in launcher else []), 1


def refuse_too_many(processes: int, gpus: int) -> None:
    if processes > gpus:
        raise UserError(
            f"gpus_per_run={processes}: this machine has {gpus}; the nearest valid choice is {gpus}, and "
            "cluster=slurm has a run on several machines"
        )


def slurm_resources(launcher: Any, keys: set[str], processes: int) -> dict[str, int]:
    """Nodes and what is asked for on each; CPUs and memory as the config has them for one GPU."""
    a_node = launcher["gpus_per_node"] if "hydra.launcher.gpus_per_node" in keys else min(processes, 8)
    if processes % a_node:
        raise UserError(
            f"gpus_per_run={processes} with {a_node} GPUs a node: accepted are multiples of {a_node}; give "
            "another hydra.launcher.gpus_per_node"
        )
    return {
        "nodes": processes // a_node,
        "tasks_per_node": 1,
        "gpus_per_node": a_node,
        "cpus_per_task": launcher["cpus_per_task"] * a_node,
        "mem_gb": launcher["mem_gb"] * a_node,
    }


def overrides_of(wanted: dict[str, Any], keys: set[str]) -> list[str]:
    named = {f"hydra.launcher.{key}": value for key, value in wanted.items()}
    return [f"{key}={value}" for key, value in named.items() if key not in keys]


def gpus_here() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name not in ("", "-1")]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def own_gpus(count: int, runs_per_gpu: int) -> dict[str, str]:
    """The variable that shows a run as many GPUs as it takes by `take_gpus`; none on a machine without.

    Raises:
        UserError: for more than there are.
    """
    if not (gpus := gpus_here()):
        return {}
    refuse_too_many(count, len(gpus))
    return {"CUDA_VISIBLE_DEVICES": ",".join(take_gpus(count, runs_per_gpu, gpus))}


def take_gpus(count: int, runs_per_gpu: int, gpus: Sequence[str], folder: Path | None = None) -> list[str]:
    """Wait for GPUs that fewer than `runs_per_gpu` others have; they are this process's until it ends.

    Sweeps of one user on one machine see each other, by locks in a folder of its temporary files; those of
    two SLURM jobs do not, whose GPUs are others though each counts its own from 0.
    """
    of_job = f"-{job}" if (job := os.environ.get("SLURM_JOB_ID")) else ""
    folder = folder or Path(tempfile.gettempdir()) / f"rlvr-gpus-{os.getuid()}{of_job}"
    folder.mkdir(parents=True, exist_ok=True)
    while _leases:
        _leases.pop().close()
    waits = False
    while True:
        with open(folder / "lock", "a") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            taken: list[str] = []
            for place in range(runs_per_gpu):  # one that nobody has goes before one that somebody has
                for gpu in gpus:
                    if len(taken) < count and gpu not in taken and _lock(folder / f"{gpu}.{place}"):
                        taken.append(gpu)
            if len(taken) == count:
                return taken
            while _leases:
                _leases.pop().close()
        if not waits:
            say(f"waiting for {count} of GPU {', '.join(gpus)}: other runs have them")
            waits = True
        time.sleep(WAIT_SECONDS)


def _lock(file: Path) -> bool:
    lock = open(file, "a")  # noqa: SIM115 (held until the process ends)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _leases.append(lock)
    return True
