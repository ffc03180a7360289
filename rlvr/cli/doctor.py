"""`rlvr doctor`: what this machine can run, and what to do about each lack."""

import importlib.util
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlvr.config import PACKAGE

GIB = 2**30
Finding = tuple[str, bool, str, str]  # what, whether it is fine, what was found, what to do


def examine() -> None:
    """Print what was found, what to do about each lack, and the next command; nothing is changed."""
    found = findings()
    table = Table("", "found", title="rlvr doctor", title_justify="left")
    for what, fine, text, _ in found:
        # as texts: 'rlvr[vllm]' would be read as markup, and lose its extra
        table.add_row(Text(what, style="green" if fine else "yellow"), Text(text))
    Console().print(table)
    for what, fine, _, advice in found:
        if not fine:
            print(f"{what}: {advice}")  # in one piece, to be copied
    command, why = next_command()
    print(f"\nnext, {why}:\n  {command}")


def findings() -> list[Finding]:
    """Everything that is looked at, in the order a run needs it."""
    import torch

    from rlvr.policy.policy import EMBEDDED

    free = shutil.disk_usage(".").free / GIB
    left, memory = host_memory()
    has_vllm = importlib.util.find_spec("vllm") is not None
    return [
        ("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer"),
        (
            "CPU",
            (os.cpu_count() or 1) >= 2,
            f"{os.cpu_count()} cores",
            "the laptop's table takes twice as long on one core",
        ),
        (
            "memory",
            left > 3,
            f"{left:.1f} of {memory:.1f} GiB free",
            "scale=laptop needs 2 GiB a table, scale=small 3: end what else runs here",
        ),
        ("torch", True, f"{torch.__version__}, threads: {torch.get_num_threads()}", ""),
        *accelerators(),
        (
            "embedded policy",
            (EMBEDDED / "model.safetensors").exists(),
            str(EMBEDDED),
            f"rlvr warm-start policy=embedded folder={EMBEDDED} makes it",
        ),
        *(_package(name) for name in ("transformers", "hydra-core", "datasets", "sympy", "reasoning-gym")),
        (
            "vLLM",
            has_vllm,
            _version("vllm") if has_vllm else "not installed",
            f"rollout=transformers works without; for GPUs: {install('vllm')}",
        ),
        *trackers(),
        ("disk", free > 2, f"{free:.0f} GiB free here", "the laptop's table needs 2 GiB: free some"),
        (
            "results/",
            os.access("results", os.W_OK) if os.path.isdir("results") else os.access(".", os.W_OK),
            os.path.abspath("results"),
            "it can't be written: choose another place with runs=",
        ),
    ]


def trackers() -> list[Finding]:
    """Where metrics can go beside the run's files."""
    from rlvr.tracking.weights_and_biases import wandb_mode

    mode = wandb_mode("auto")
    return [
        (
            "W&B",
            mode != "offline",
            f"mode {mode}",
            "runs are kept offline until `wandb login`, and then sent with `wandb sync`",
        ),
        *(
            (
                name,
                importlib.util.find_spec(name) is not None,
                _version(package),
                f"tracking={name}: {install(name)}",
            )
            for name, package in (("tensorboard", "tensorboard"), ("mlflow", "mlflow-skinny"))
        ),
    ]


def accelerators() -> list[Finding]:
    """What makes a step fast: GPUs, and bfloat16 on a CPU."""
    import torch

    from rlvr.policy.cpu import has_fast_bfloat16

    gpus = []
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        gpus.append(f"{torch.cuda.get_device_name(i)}, {free / GIB:.0f} of {total / GIB:.0f} GiB free")
    advice = "scales smoke, laptop and small run without; gpu and paper need CUDA devices"
    return [
        ("GPU", bool(gpus), "\n".join(gpus) or "none", advice),
        ("attention", True, attention(), ""),
        (
            "bfloat16",
            bool(gpus) or has_fast_bfloat16(),
            torch.backends.cpu.get_cpu_capability(),
            "keep training.precision=float32",
        ),
    ]


def attention() -> str:
    """The kernels that an update's attention goes through."""
    import torch

    from rlvr.policy.attention import attention_for

    if not torch.cuda.is_available():
        return "rlvr's own for CPUs (rlvr.policy.cpu)"
    half, whole = (attention_for(torch.device("cuda", 0), kind) for kind in (torch.bfloat16, torch.float32))
    return f"training.attention=auto: {half} in bfloat16, {whole} in float32"


def next_command() -> tuple[str, str]:
    """The command to go on with on this machine, and why."""
    import torch

    sizes = [torch.cuda.get_device_properties(i).total_memory / GIB for i in range(torch.cuda.device_count())]
    if not sizes:
        return "rlvr train scale=smoke advantage_scaling=focal", "a first run, half a minute on two cores"
    if len(sizes) >= 8 and min(sizes) > 70:
        return "rlvr plan table=fgrpo/table1 scale=paper", "what the published table takes on these GPUs"
    return (
        "rlvr plan scale=gpu advantage_scaling=focal",
        "what a run takes here, with the command that starts it",
    )


def host_memory() -> tuple[float, float]:
    """Memory of this machine that is free for a new process, and all of it, GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) / 2**20, total
    except (OSError, KeyError):  # not Linux: what is free is not known
        return total, total


def install(extra: str) -> str:
    """The command that installs an extra: of the clone that runs, or of the package."""
    if (PACKAGE.parent / "pyproject.toml").is_file():
        return f"pip install -e '{PACKAGE.parent}[{extra}]'"
    return f"pip install 'rlvr[{extra}]'"


def _package(name: str) -> Finding:
    found = _version(name)
    return name, found != "not installed", found, f"pip install {name}"


def _version(name: str) -> str:
    for candidate in (name, f"{name}-cpu"):
        try:
            return version(candidate)
        except PackageNotFoundError:
            continue
    return "not installed"
