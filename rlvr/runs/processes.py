"""A run in several processes, started by torchrun: its command, and how a signal reaches all of them."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rlvr.config import Config, run_directory
from rlvr.errors import UserError
from rlvr.files.atomic import write_whole
from rlvr.runs.deadline import STOP_FILE, asked_to_stop, stoppable
from rlvr.runs.placement import own_gpus
from rlvr.runs.start import Start
from rlvr.training.distributed.ranks import world_size

# torchrun's own without SIGTERM: 30 seconds after that one it kills its processes, which may need longer
SIGNALS = "--signals-to-handle=SIGINT,SIGHUP,SIGQUIT"
LOOK_SECONDS = 0.2  # between looks whether the processes are to stop
PR_SET_PDEATHSIG = 1  # Linux's prctl: the signal a process gets when its parent is gone


@dataclass(frozen=True, slots=True)
class Nodes:
    """The machines of a run, of which this is number `rank`; they meet at an address of number 0."""

    count: int = 1
    rank: int = 0
    address: str = ""
    port: int = 0


def nodes_of(environment: Mapping[str, str], hosts: Sequence[str]) -> Nodes:
    """What SLURM's variables say of a task that it started on each node of a job.

    Args:
        hosts: names of the job's nodes in order.
    """
    if len(hosts) < 2:
        return Nodes()
    port = 20_000 + int(environment["SLURM_JOB_ID"]) % 20_000  # another one for every job of a node
    return Nodes(len(hosts), int(environment["SLURM_NODEID"]), hosts[0], port)


def slurm_hosts() -> list[str]:
    """The nodes of the SLURM job that this process is a task of; none outside."""
    if int(os.environ.get("SLURM_STEP_NUM_NODES", "1")) < 2 or "SLURM_NODEID" not in os.environ:
        return []
    command = ["scontrol", "show", "hostnames", os.environ["SLURM_STEP_NODELIST"]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def torchrun_command(processes: int, nodes: Nodes = Nodes()) -> list[str]:
    """The command of one node; `torchrun_environment` has what to run.

    Raises:
        UserError: where the nodes can't have equally many processes.
    """
    if processes % nodes.count:
        raise UserError(
            f"gpus_per_run={processes} on {nodes.count} nodes: accepted are multiples of {nodes.count}"
        )
    where = ["--standalone"]
    if nodes.count > 1:
        where = [
            f"--nnodes={nodes.count}",
            f"--node-rank={nodes.rank}",
            f"--master-addr={nodes.address}",
            f"--master-port={nodes.port}",
        ]
    agent = [sys.executable, "-m", "torch.distributed.run", *where, SIGNALS]
    return [*agent, f"--nproc-per-node={processes // nodes.count}", "-m", "rlvr.runs.rank"]


def torchrun_environment(config: Config, start: Start, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of torchrun and so of all processes: what to run, and threads as the config has them."""
    what = {"config": asdict(config), "start": asdict(replace(start, processes=1, runs_per_gpu=0))}
    threads = str(config.training.threads)
    return {**environment, "OMP_NUM_THREADS": threads, "RLVR_RUN": json.dumps(what)}


def start_run(config: Config, start: Start) -> Path:
    """`run`, in this process or in as many as are wanted, on GPUs that no other run has where so wanted."""
    if start.processes > 1:
        return run_in_processes(config, start)
    if start.runs_per_gpu:
        os.environ.update(own_gpus(1, start.runs_per_gpu))  # before CUDA starts in this process
    from rlvr.runs.run import run

    return run(config, start)


def run_in_processes(config: Config, start: Start) -> Path:
    """Start torchrun, on GPUs of its own, and wait for it; it ends when this process does.

    Raises:
        Stopped: once a signal has asked for the end, and all that was done is kept.
        UserError: under torchrun, for more processes than GPUs, or where the processes failed, which have
            then said why.
    """
    if world_size() > 1:
        raise UserError("gpus_per_run= was given under torchrun: accepted is one of the two")
    nodes = nodes_of(os.environ, slurm_hosts())
    command = torchrun_command(start.processes, nodes)
    environment = {**os.environ, **own_gpus(start.processes // nodes.count, start.runs_per_gpu or 1)}
    with stoppable(None), tempfile.TemporaryDirectory() as folder:
        stop_file = Path(folder) / "stop"
        job = subprocess.Popen(
            command,
            env=torchrun_environment(config, start, {**environment, STOP_FILE: str(stop_file)}),
            start_new_session=True,
            preexec_fn=_end_with_the_parent,
        )
        try:
            while job.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    job.wait(LOOK_SECONDS)
                if (asked := asked_to_stop()) and not stop_file.exists():
                    write_whole(stop_file, str(int(asked)))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()
    if job.returncode:
        raise UserError(
            f"the {start.processes} processes of {run_directory(config)} ended with status {job.returncode}, "
            "for the reason above; the same command goes on from the last checkpoint"
        )
    return run_directory(config)


def _end_with_the_parent() -> None:
    """And not by signals that a scheduler sends to all processes, which torchrun has no use for."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
