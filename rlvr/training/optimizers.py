"""Optimizers of the trainer: AdamW, and two whose state takes less of a GPU's memory.

- `adamw`: torch's, fused; two moments a parameter, in its precision.
- `adamw_8bit`: torchao's (Dettmers et al. 2021): moments in 8 bits, with a scale for every 256 of them.
- `adamw_host`: AdamW whose moments are in host memory, and come to the GPU for their parameter's step.

Each takes sharded parameters too (FSDP2). `OnDevice` moves the state of any of them away and back.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from rlvr.config.schema import TrainingConfig
from rlvr.errors import UserError, say
from rlvr.training.distributed.ranks import local_shard, rank


class StateBytes(NamedTuple):
    """Bytes of optimizer state a trained parameter, where training goes on and in host memory."""

    device: float
    host: float


def lost_above(learning_rate: float) -> float:
    """The weight in bfloat16 from which on a step is lost: its neighbours are 2^-8 of it away, or more."""
    return 2**9 * learning_rate


def state_bytes(optimizer: str, bytes_per_parameter: int = 4) -> StateBytes:
    """Of `adamw`, `adamw_8bit` or `adamw_host`, for parameters of so many bytes.

    Two moments a parameter, in its precision; or in 8 bits, with a float32 scale for every 256 of them.
    """
    moments = 2 * bytes_per_parameter
    return {
        "adamw": StateBytes(moments, 0),
        "adamw_8bit": StateBytes(2 * (1 + 4 / 256), 0),
        "adamw_host": StateBytes(0, moments),
    }[optimizer]


def build_optimizer(parameters: Iterable[nn.Parameter], training: TrainingConfig) -> Optimizer:
    """The optimizer that a config names."""
    settings: dict[str, Any] = {
        "lr": training.learning_rate,
        "betas": tuple(training.betas),
        "weight_decay": training.weight_decay,
    }
    if training.optimizer == "adamw_8bit":
        return adamw_8bit(list(parameters), settings)
    kind = HostAdamW if training.optimizer == "adamw_host" else torch.optim.AdamW
    return kind(parameters, fused=True, **settings)


def check_trained_dtype(dtype: torch.dtype, learning_rate: float) -> None:
    """Whether weights of a type can take AdamW's steps, which are of about the learning rate's size.

    In float16 the squares of gradients below 2e-4 are 0, and so is what AdamW adds to their root: what it
    divides by.

    Raises:
        UserError: for float16. For bfloat16 the user is told what is lost.
    """
    instead = "model.dtype=float32, with training.precision=bfloat16 for speed, or adapter=lora"
    if dtype == torch.float16:
        raise UserError(
            f"model.dtype=float16: in it AdamW divides by 0 and ruins the model; accepted are {instead}"
        )
    if dtype == torch.bfloat16 and rank() == 0:
        lost = lost_above(learning_rate)
        say(
            f"model.dtype=bfloat16: steps of training.learning_rate={learning_rate:g} are lost on weights "
            f"larger than {lost:.2g}, which stay as they are; better are {instead}"
        )


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Of all parameters, from the next step on."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):  # a compiled step would be compiled anew for another number
            group["lr"].fill_(learning_rate)
        else:
            group["lr"] = learning_rate


def state_tensors(optimizer: Optimizer, parameter: nn.Parameter) -> dict[str, Tensor]:
    """All that is kept for a parameter, as plain tensors: of a sharded one this rank's part, of 8 bits codes
    and scales.
    """
    found = {}
    for key, value in optimizer.state.get(parameter, {}).items():
        local = local_shard(value)
        if hasattr(local, "codes"):
            found |= {f"{key}.codes": local.codes, f"{key}.scale": local.scale}
        else:
            found[key] = local
    return found


class HostAdamW(torch.optim.AdamW):
    """AdamW one parameter after the other: its moments come from host memory for its step, and go back.

    The arithmetic is that of fused AdamW, where the parameter is; the state dict is the same too.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of all parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(group, parameter)
        if torch.cuda.is_available():  # until then the copies to host memory are on their way
            torch.cuda.synchronize()

    def _step(self, group: dict[str, Any], parameter: nn.Parameter) -> None:
        weight, gradient = local_shard(parameter), local_shard(parameter.grad)
        state = self.state[parameter]
        if not state:
            # pinned like its moments: a copy to other memory is waited for, here at every parameter
            state["step"] = on_host(torch.zeros((), dtype=torch.float32))
            state["exp_avg"], state["exp_avg_sq"] = (on_host(torch.zeros_like(weight)) for _ in range(2))
        near = {key: value.to(weight.device, non_blocking=True) for key, value in state.items()}
        adamw(
            *([weight], [gradient], [near["exp_avg"]], [near["exp_avg_sq"]], [], [near["step"]]),
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        for key, value in near.items():
            if value is not state[key]:
                state[key].copy_(value, non_blocking=True)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As of AdamW, but for where the state is."""
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        for i, entries in state_dict["state"].items():
            self.state[parameters[i]] = {key: on_host(local_shard(value)) for key, value in entries.items()}


def on_host(tensor: Tensor) -> Tensor:
    """A copy in host memory, pinned where there is a GPU, so that copying it is fast and not waited for."""
    if hasattr(tensor, "codes"):  # whose own copies share what is there already
        parts = on_host(tensor.codes), on_host(tensor.scale), on_host(tensor.qmap)
        return type(tensor)(*parts, tensor.signed, tensor.dtype)
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=torch.cuda.is_available())
    return copy.copy_(tensor)


def adamw_8bit(parameters: list[nn.Parameter], settings: dict[str, Any]) -> Optimizer:
    """torchao's AdamW with moments in 8 bits.

    Its step is compiled on a GPU; on a CPU it is not, where compiling takes minutes.

    Raises:
        UserError: without torchao.
    """
    try:
        with quiet_import():
            from torchao.optim import AdamW8bit
    except ModuleNotFoundError as error:
        raise UserError(
            "training.optimizer=adamw_8bit was given but torchao is not installed: run "
            "`pip install 'rlvr[8bit]'`, or choose training.optimizer=adamw_host"
        ) from error

    class Eager(AdamW8bit):
        def step(self, closure: None = None) -> None:
            with torch.compiler.set_stance("force_eager"):
                super().step(closure)

    kind = Eager if parameters[0].device.type == "cpu" else AdamW8bit
    return kind(parameters, **settings)


@contextmanager
def quiet_import() -> Iterator[None]:
    """torchao says which of its kernels are for another Python or GPU; none of them is used here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


class Away(NamedTuple):
    """A tensor without memory, its values in host memory, and the bytes that it takes when it is back."""

    tensor: Tensor
    copy: Tensor
    size: int


class OnDevice:
    """Optimizer state that is on the device while it is needed, and in host memory in between.

    The tensors stay the same objects, whose memory is given back and taken again. Gradients need no place:
    there are none between two updates.

    Args:
        enabled: False to leave everything where it is.
    """

    def __init__(self, optimizer: Optimizer, enabled: bool):
        self.optimizer, self.enabled = optimizer, enabled
        self._away: dict[tuple[nn.Parameter, str], Away] = {}

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The context in which the state is used."""
        if not self.enabled:
            yield
            return
        self._fetch()
        try:
            yield
        finally:
            self._send_away()

    def tensors(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """`state_tensors` where they are now: of those that are away the copies in host memory."""
        found = state_tensors(self.optimizer, parameter)
        return {
            key: self._away[parameter, key].copy if (parameter, key) in self._away else tensor
            for key, tensor in found.items()
        }

    def entries(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The optimizer's state of a parameter, to read or to save: what is away stays there, since an engine
        may have the device. Of a sharded parameter that is this rank's part."""
        entries = self.optimizer.state.get(parameter, {})
        if not self._away:
            return entries
        here = self.tensors(parameter)
        return {key: _in_host_memory(key, local_shard(value), here) for key, value in entries.items()}

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's, which stays what it is when the state goes away."""
        state = self.optimizer.state_dict()
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state["state"] = {i: self.entries(parameters[i]) for i in state["state"]}
        return state

    def _send_away(self) -> None:
        for parameter in self.optimizer.state:
            for key, tensor in state_tensors(self.optimizer, parameter).items():
                if tensor.dim():  # step counters are single numbers
                    memory = tensor.untyped_storage()
                    self._away[parameter, key] = Away(tensor, on_host(tensor), memory.nbytes())
                    memory.resize_(0)

    def _fetch(self) -> None:
        for tensor, copy, size in self._away.values():
            tensor.untyped_storage().resize_(size)
            tensor.copy_(copy, non_blocking=True)
        self._away.clear()


def _in_host_memory(key: str, value: Tensor, here: dict[str, Tensor]) -> Tensor:
    """An entry of a state dict, of the tensors that are in host memory already."""
    if hasattr(value, "codes"):
        parts = here[f"{key}.codes"], here[f"{key}.scale"], on_host(value.qmap)
        return type(value)(*parts, value.signed, value.dtype)
    return here[key] if value.dim() else on_host(value)
