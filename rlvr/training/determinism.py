"""What holds for a process: torch as it begins, a GPU's allocator, kernels that give the same bits twice."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rlvr.config import Config
from rlvr.errors import UserError


def refuse_torch_settings() -> None:
    """Hold this thread's torch against what a run computes with, which is as its config says and no other.

    Raises:
        UserError: within a context, or after a call, that has torch compute otherwise.
    """
    within_autocast = torch.autocast_increment_nesting() > 1  # a disabled one too keeps converted weights
    torch.autocast_decrement_nesting()
    device = torch.get_default_device()
    found = {
        "in torch.autocast": within_autocast,
        "in torch.inference_mode": torch.is_inference_mode_enabled(),
        "in torch.no_grad": not torch.is_grad_enabled() and not torch.is_inference_mode_enabled(),
        f"with a default dtype of {torch.get_default_dtype()}": torch.get_default_dtype() != torch.float32,
        f"with {device} as torch's default device": device.type != "cpu",
    }
    if said := [words for words, is_so in found.items() if is_so]:
        raise UserError(
            f"a run was started {' and '.join(said)}: accepted is torch as it is when a process "
            "begins, since a run computes as model.dtype, training.precision and training.device say"
        )


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
