"""How the check of a GPU measures: seconds, share of the peak, memory by part, and kernels."""

import re
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from rlvr.bench.gpu_shapes import Work, device, update_flops
from rlvr.bench.side import peak_bytes

GIB = 2**30
# dense bfloat16, by NVIDIA's data sheets. The first that is a part of the card's name holds, so that forms of
# a card that are slower come before it
PEAK_TFLOPS = {
    **{"H100 PCIe": 756, "H100 NVL": 835, "H200 NVL": 835, "GB200": 2500},
    **{"H100": 989, "H200": 989, "B200": 2250, "A100": 312, "L40S": 362, "4090": 165},
}
FUSED = re.compile("flash|fmha|cudnn.*sdpa|flex|attention", re.IGNORECASE)
Line = dict[str, Any]


class Clock:
    """How much of a part's time is left."""

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        return self.end - time.monotonic()


def synchronized() -> float:
    if device() == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds_of(work: Callable[[], object]) -> float:
    started = synchronized()
    work()
    return synchronized() - started


def timings(work: Work, update: Callable[[], object], clock: Clock) -> Line:
    """Seconds of updates, tokens a second, and the share of the peak."""
    if device() == "cuda":
        torch.cuda.reset_peak_memory_stats()
    first = seconds_of(update)
    seconds = [seconds_of(update) for _ in range(3 if clock.left() > 6 * first else 1)]
    best = min(seconds)
    tokens = work.rollouts * work.tokens + work.config.training.prompts_per_step * work.prompt
    line: Line = {"first_seconds": first, "seconds": seconds, "tokens_per_second": tokens / best}
    if device() == "cuda" and (peak := peak_tflops()):
        line["share_of_peak"] = update_flops(work) / best / peak / 1e12
    return line


def memory_by_part(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """GiB: what is there between two updates, and the peak since the last reset; of the process on a CPU."""
    weights = list(model.parameters())
    states = [value for of in optimizer.state.values() for value in of.values()]
    parts = {
        "weights": sum(weight.nbytes for weight in weights),
        "optimizer state": sum(value.nbytes for value in states if isinstance(value, torch.Tensor)),
        "gradients": sum(weight.nbytes for weight in weights if weight.requires_grad),
        "peak": torch.cuda.max_memory_allocated() if device() == "cuda" else peak_bytes(),
    }
    return {name: size / GIB for name, size in parts.items()}


def peak_tflops() -> int | None:
    name = torch.cuda.get_device_name()
    return next((value for card, value in PEAK_TFLOPS.items() if card in name), None)


def kernels_of(work: Callable[[], object]) -> Line:
    """The kernels that take most, and those of attention; without any, it fell back to plain products."""
    on_gpu = device() == "cuda"
    with profile(activities=[ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]) as run:
        work()
        synchronized()
    spent = {
        event.key: (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6
        for event in run.key_averages()
    }
    ordered = sorted(spent, key=lambda name: -spent[name])
    fused = [name for name in ordered if FUSED.search(name)]
    return {
        "kernels": {name[:120]: spent[name] for name in ordered[:12]},
        "attention_kernels": {name[:120]: spent[name] for name in fused[:4]},
        "falls_back": not fused,
    }
