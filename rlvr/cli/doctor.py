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

Finding = tuple[str, bool, str, str]  # what, whether it is fine, what was found, what to do


def examine() -> None:
    """Print a table of findings; nothing is changed."""
    table = Table("", "found", "what to do", title="rlvr doctor", title_justify="left")
    for what, fine, found, advice in findings():
        style = "green" if fine else "yellow"
        # as texts: 'rlvr[vllm]' would be read as markup, and lose its extra
        table.add_row(Text(what, style=style), Text(found), Text("" if fine else advice))
    Console().print(table)


def findings() -> list[Finding]:
    """Everything that is looked at, in the order a run needs it."""
    import torch

    from rlvr.policy.policy import EMBEDDED
    from rlvr.tracking.tracker import wandb_mode

    free = shutil.disk_usage(".").free / 2**30
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    has_vllm = importlib.util.find_spec("vllm") is not None
    mode = wandb_mode("auto")
    return [
        ("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer"),
        (
            "CPU",
            (os.cpu_count() or 1) >= 2,
            f"{os.cpu_count()} cores, {memory:.0f} GiB memory",
            "the laptop's table takes twice as long on one core",
        ),
        ("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads", ""),
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
            "rollout=transformers works without; GPU: pip install 'rlvr[vllm]'; CPU: make vllm-env",
        ),
        (
            "W&B",
            mode != "offline",
            f"mode {mode}",
            "runs are kept offline: `wandb login`, then `wandb sync` on their wandb/offline-* folders",
        ),
        ("disk", free > 2, f"{free:.0f} GiB free here", "the laptop's table needs 2 GiB: free some"),
        (
            "results/",
            os.access("results", os.W_OK) if os.path.isdir("results") else os.access(".", os.W_OK),
            os.path.abspath("results"),
            "it can't be written: choose another place with runs=",
        ),
    ]


def accelerators() -> list[Finding]:
    """What makes a step fast: GPUs, and bfloat16 on a CPU."""
    import torch

    gpus = [
        f"{torch.cuda.get_device_name(i)} {torch.cuda.get_device_properties(i).total_memory / 2**30:.0f} GiB"
        for i in range(torch.cuda.device_count())
    ]
    advice = "scales laptop and smoke run without; gpu and paper need CUDA devices"
    capability = torch.backends.cpu.get_cpu_capability()
    has_bfloat16 = bool(gpus) or capability.startswith("AVX512")
    return [
        ("GPU", bool(gpus), ", ".join(gpus) or "none", advice),
        ("bfloat16", has_bfloat16, capability, "keep training.precision=float32"),
    ]


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
