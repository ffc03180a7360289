"""What holds for a process on a GPU: its allocator, and kernels that give the same bits twice."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rlvr.config import Config
from rlvr.errors import UserError


def configure_gpu(config: Config) -> None:
    """Set what CUDA, cuBLAS and vLLM read when they begin; nothing of it matters on a CPU.

    Segments of the allocator may grow, so that blocks of many sizes leave no holes; not beside a vLLM that
    sleeps, which maps memory itself.

    Raises:
        UserError: where vLLM is there already, with the kernels of another `training.deterministic`.
    """
    given = {"PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"} & os.environ.keys()
    if not given and not (config.rollout.name == "vllm" and config.rollout.sleep):
        os.environ["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
    if config.training.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    invariant = str(int(config.training.deterministic and config.rollout.name == "vllm"))
    if "vllm" in sys.modules and invariant != os.environ.get("VLLM_BATCH_INVARIANT", "0"):
        said = f"training.deterministic={str(config.training.deterministic).lower()}"
        raise UserError(
            f"{said} with rollout={config.rollout.name} was given where vLLM runs with other kernels, which "
            "are the whole process's until it ends: run it in a process of its own"
        )
    os.environ["VLLM_BATCH_INVARIANT"] = invariant


@contextmanager
def deterministic_kernels(wanted: bool) -> Iterator[None]:
    """Let torch use none that adds in an order of its own, FlashAttention's backward included."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    fills, torch.utils.deterministic.fill_uninitialized_memory = (
        torch.utils.deterministic.fill_uninitialized_memory,
        False,  # what is allocated is written whole before it is read
    )
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = fills
