"""Runs of several processes, and which GPUs the runs of a sweep get."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_runs
from omegaconf import OmegaConf

from rlvr.config import check, load_config, run_directory
from rlvr.errors import UserError
from rlvr.files.run_directory import read_summary
from rlvr.runs import placement as placement_module
from rlvr.runs.placement import placement, take_gpus
from rlvr.runs.processes import (
    Nodes,
    _end_with_the_parent,
    nodes_of,
    start_run,
    torchrun_command,
    torchrun_environment,
)
from rlvr.runs.start import Start
from rlvr.training.checkpoint import checkpoint_path, checkpoints

AGENT = [sys.executable, "-m", "torch.distributed.run"]
SLURM = {
    "_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    **{"gpus_per_node": 1, "cpus_per_task": 8, "mem_gb": 64},
}
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": 2}
N_JOBS = ["hydra.launcher.n_jobs=${of_the_launcher}"]
RAY = {"_target_": "hydra_plugins.rlvr_ray_launcher.RayLauncher", "remote": {"num_cpus": 8, "num_gpus": 1}}


def test_the_command_of_one_node_and_of_each_of_two():
    run = ["-m", "rlvr.runs.rank"]
    deaf = "--signals-to-handle=SIGINT,SIGHUP,SIGQUIT"  # to SIGTERM
    assert torchrun_command(8) == [*AGENT, "--standalone", deaf, "--nproc-per-node=8", *run]
    where = ["--nnodes=2", "--node-rank=1", "--master-addr=gpu-07", "--master-port=23456"]
    on_two = [*AGENT, *where, deaf, "--nproc-per-node=8", *run]
    assert torchrun_command(16, Nodes(2, 1, "gpu-07", 23456)) == on_two
    with pytest.raises(UserError, match="gpus_per_run=9 on 2 nodes: accepted are multiples of 2"):
        torchrun_command(9, Nodes(2, 0, "gpu-07", 23456))


def test_nodes_are_as_slurm_says():
    task = {"SLURM_JOB_ID": "4123456", "SLURM_NODEID": "1"}
    assert nodes_of(task, ["gpu-07", "gpu-08"]) == Nodes(2, 1, "gpu-07", 23456)
    assert nodes_of(task, ["gpu-07"]) == nodes_of({}, []) == Nodes()


def test_the_environment_has_the_whole_run():
    config = load_config(["training.gradient_clip=inf", "training.threads=3", "seed=7"])
    start = Start(evaluate=True, deadline=1.5e9, processes=2, command="rlvr train seed=7")
    made = torchrun_environment(config, start, {"PATH": "/bin", "OMP_NUM_THREADS": "9"})
    what = json.loads(made.pop("RLVR_RUN"))
    assert made == {"PATH": "/bin", "OMP_NUM_THREADS": "3"}
    assert check(OmegaConf.create(what["config"])) == config
    assert Start(**what["start"]) == replace(start, processes=1)


@pytest.mark.parametrize(
    ("launcher", "given", "processes", "gpus", "expected"),
    [
        (JOBLIB, [], None, 0, ([], 0)),  # on a CPU as ever
        (JOBLIB, [], 2, 0, ([], 0)),
        (JOBLIB, [], None, 1, (["hydra.launcher.n_jobs=1"], 1)),
        (JOBLIB, [], None, 8, (["hydra.launcher.n_jobs=8"], 1)),
        (JOBLIB, [], 3, 8, (["hydra.launcher.n_jobs=2"], 1)),
        ({**JOBLIB, "n_jobs": 4}, N_JOBS, None, 8, ([], 1)),
        ({**JOBLIB, "n_jobs": 4}, N_JOBS, None, 1, ([], 4)),  # asked for: four on one
        ({**JOBLIB, "n_jobs": 3}, N_JOBS, 4, 8, ([], 2)),
        ({"_target_": "x.LocalLauncher"}, [], 2, 8, ([], 1)),
        (RAY, [], None, 8, ([], 0)),
        (RAY, [], 8, 0, (["hydra.launcher.remote.num_gpus=8"], 0)),
        ({**RAY, "remote": {"num_cpus": 1}}, [], 2, 0, (["hydra.launcher.remote.num_cpus=2"], 0)),
        (SLURM, [], None, 0, ([], 0)),
    ],
)
def test_no_two_runs_get_one_gpu_unless_it_is_asked_for(launcher, given, processes, gpus, expected):
    assert placement(launcher, given, processes, gpus) == expected


def slurm(given: list[str], processes: int, a_node: int = 1) -> list[str]:
    placed, _ = placement({**SLURM, "gpus_per_node": a_node}, given, processes, 0)
    return [text.removeprefix("hydra.launcher.") for text in placed]


def test_slurm_gives_a_run_its_nodes():
    one = ["nodes=1", "tasks_per_node=1", "gpus_per_node=8", "cpus_per_task=64", "mem_gb=512"]
    assert slurm([], 8) == one
    assert slurm([], 16) == ["nodes=2", *one[1:]]
    four = ["nodes=2", "tasks_per_node=1", "cpus_per_task=32", "mem_gb=256"]
    assert slurm(["hydra.launcher.gpus_per_node=4"], 8, a_node=4) == four
    assert slurm(["hydra.launcher.mem_gb=900"], 8) == one[:-1]
    with pytest.raises(UserError, match="gpus_per_run=12 with 8 GPUs a node: accepted are multiples of 8"):
        slurm([], 12)
    with pytest.raises(UserError, match="gpus_per_run=4: this machine has 2; the nearest valid choice is 2"):
        placement(JOBLIB, [], 4, 2)


def test_a_gpu_is_taken_until_the_process_that_has_it_ends(tmp_path: Path):
    first = take_in_a_process(1, 1, tmp_path)
    second = take_in_a_process(2, 1, tmp_path)
    third = take_in_a_process(1, 1, tmp_path)
    try:
        assert taken_by(first) == ["0"]
        assert taken_by(second) == ["1", "2"]
        assert taken_by(take_in_a_process(2, 2, tmp_path, ends=True)) == ["0", "1"]  # shared where allowed
        first.kill()
        assert taken_by(third) == ["0"]  # it has waited
    finally:
        for process in (first, second, third):
            process.kill()
            process.wait()
            process.stdout.close()


def test_two_slurm_jobs_on_a_machine_do_not_wait_for_each_other(tmp_path: Path, monkeypatch):
    """Each counts its own GPUs from 0, though they are others."""
    monkeypatch.setattr(placement_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(placement_module, "WAIT_SECONDS", 0)
    monkeypatch.setattr(placement_module, "_leases", [])
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    assert take_gpus(1, 1, ["0"]) == ["0"]
    held = list(placement_module._leases)
    placement_module._leases.clear()  # as another process has them
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setattr(placement_module.time, "sleep", lambda _: pytest.fail("it waits"))
    assert take_gpus(1, 1, ["0"]) == ["0"]
    for lease in [*held, *placement_module._leases]:
        lease.close()


def take_in_a_process(
    count: int, runs_per_gpu: int, folder: Path, *, ends: bool = False, gpus: Sequence[str] = ("0", "1", "2")
) -> subprocess.Popen:
    code = (
        "import sys, time; from pathlib import Path; from rlvr.runs.placement import take_gpus; "
        f"print(*take_gpus({count}, {runs_per_gpu}, {gpus}, Path({str(folder)!r})), flush=True); "
        + ("" if ends else "time.sleep(600)")
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    if count > 1 or not any(folder.iterdir()):  # one that has to wait says nothing yet
        process.taken = process.stdout.readline().split()
    return process


def taken_by(process: subprocess.Popen) -> list[str]:
    return getattr(process, "taken", None) or process.stdout.readline().split()


def test_two_runs_of_several_gpus_share_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each given by a command of its own: both had the first two."""
    config = tiny_runs.tiny(tmp_path)
    monkeypatch.setattr(placement_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(placement_module, "_leases", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    write = f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text"
    note = f"import os, pathlib; {write}(os.environ['CUDA_VISIBLE_DEVICES'])"
    monkeypatch.setattr("rlvr.runs.processes.torchrun_command", lambda *_: [sys.executable, "-c", note])
    first = take_in_a_process(2, 1, tmp_path / f"rlvr-gpus-{os.getuid()}", gpus=["3", "5", "6", "7"])
    try:
        start_run(config, Start(processes=2))
    finally:
        first.kill()
        first.communicate()
    assert first.taken == ["3", "5"] and (tmp_path / "seen").read_text() == "6,7"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5,6,7"  # for the next run of this process
    with pytest.raises(UserError, match="gpus_per_run=5: this machine has 4; the nearest valid choice is 4"):
        start_run(config, Start(processes=5))
    for lease in placement_module._leases:
        lease.close()


def test_a_run_of_one_process_takes_a_gpu_in_a_job_of_several_nodes(
    monkeypatch: pytest.MonkeyPatch, tmp_path
):
    monkeypatch.setattr(placement_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(placement_module, "_leases", [])
    monkeypatch.setattr("rlvr.runs.processes.slurm_hosts", lambda: ["one", "two"])
    monkeypatch.setattr("rlvr.runs.run.run", lambda *_: Path(os.environ["CUDA_VISIBLE_DEVICES"]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert start_run(tiny_runs.tiny(tmp_path), Start(runs_per_gpu=1)) == Path("3")
    for lease in placement_module._leases:
        lease.close()


@pytest.mark.slow
def test_a_run_of_two_processes_that_is_asked_to_stop_goes_on_to_its_end(tmp_path: Path):
    """On a CPU, through gloo: `rlvr train gpus_per_run=2` started, sent SIGTERM and started again.

    All its processes are sent it, as SLURM does when it preempts: torchrun itself is not to end, nor to kill.
    """
    settings = (
        "training.steps=12",
        "training.checkpoint_every=12",
        "evaluation.samples=2",
        "evaluation.k=[1]",
    )
    given = [*tiny_runs.TINY, *settings, f"runs={tmp_path}"]
    overrides = list({text.partition("=")[0]: text for text in given}.values())
    path = run_directory(load_config(overrides))
    command = [sys.executable, "-m", "rlvr", "train", *overrides, "gpus_per_run=2"]
    started = subprocess.Popen(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )
    while not (path / "metrics.jsonl").exists():
        assert started.poll() is None
        time.sleep(0.01)
    for process in processes_from(started.pid):
        os.kill(process, signal.SIGTERM)
    said = started.communicate(timeout=300)[1]
    assert "stopped by SIGTERM" in said
    assert "SignalException" not in said
    assert started.returncode == 75
    assert 0 < checkpoints(path)[-1][0] < 12
    subprocess.run(command, check=True)
    assert read_summary(path)["status"] == "finished"
    assert len(list((checkpoint_path(path, 12) / "optimizer").glob("*.distcp"))) == 2
    steps = [json.loads(line)["step"] for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def processes_from(first: int) -> list[int]:
    """A process and all that it has started, by way of others too."""
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *(process for child in children for process in processes_from(int(child)))]


def test_the_agent_of_torchrun_is_deaf_to_what_a_scheduler_sends_to_all(tmp_path: Path):
    """SIGTERM would have it kill its processes 30 seconds later, in the middle of a checkpoint."""
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time; print('up', flush=True); time.sleep(600)")
    command = [word for word in torchrun_command(1) if word not in ("-m", "rlvr.runs.rank")]
    agent = subprocess.Popen(
        [command[0], "-m", *command[1:], str(sleeper)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_end_with_the_parent,
    )
    try:
        assert agent.stdout.readline() == "up\n"
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            agent.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            agent.wait(2)
    finally:
        for process in processes_from(agent.pid):
            os.kill(process, signal.SIGKILL)
        agent.wait()
        agent.stdout.close()


@pytest.mark.slow
def test_a_sweep_on_this_machine_starts_each_run_in_two_processes(tmp_path: Path):
    overrides = [*(text for text in tiny_runs.TINY if "steps" not in text), "training.steps=1"]
    overrides += ["evaluation.after_training=false", f"runs={tmp_path}"]
    command = [sys.executable, "-m", "rlvr", "train", "-m", *overrides, "seed=1,2", "gpus_per_run=2"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for seed in (1, 2):
        path = run_directory(load_config([*overrides, f"seed={seed}"]))
        assert read_summary(path)["status"] == "trained"
        assert len(list((checkpoint_path(path, 1) / "optimizer").glob("*.distcp"))) == 2
