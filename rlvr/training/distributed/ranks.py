"""Process group of a run under torchrun, as a single controller: rank 0 calls, the other ranks serve.

Rank 0 runs the program as a single process would. A function marked `on_every_rank` runs on all ranks when
rank 0 calls it, each with its own shard of the policy and the optimizer and an engine of its own; between
such calls the others wait in `serve_rank_zero`. So only rank 0 writes files and talks to W&B, and what is not
marked need not know of ranks.

With one process none of this does anything, and torch.distributed is not initialised.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlvr.errors import UserError
from rlvr.training.distributed.watchdog import Watchdog

# of a collective: dead ranks are the watchdog's to find, slow ones are waited for
COLLECTIVE_TIMEOUT = timedelta(hours=12)

_watchdog: Watchdog | None = None
_inside = False  # this rank is inside an `on_every_rank` call


def world_size() -> int:
    """Number of processes of this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


@contextmanager
def process_group() -> Iterator[None]:
    """The default process group, under a watchdog. All ranks exit when rank 0 does."""
    global _watchdog
    if world_size() == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, _, _ = next(torch.distributed.rendezvous("env://", timeout=timedelta(minutes=5)))
    _watchdog = Watchdog(store.clone(), rank(), world_size())
    torch.distributed.init_process_group(
        backend, store=store, rank=rank(), world_size=world_size(), timeout=COLLECTIVE_TIMEOUT
    )
    _watchdog.stage = "between two calls" if rank() == 0 else "waiting for rank 0"
    try:
        yield
        if rank() == 0:
            _broadcast_call(None)
    except UserError as error:
        _watchdog.failed(str(error))
        raise
    except Exception as error:
        _watchdog.explain()  # does not return where another rank's end is the reason
        _watchdog.failed(f"{type(error).__name__}: {error}")
        raise
    _watchdog.close()
    torch.distributed.destroy_process_group()
    _watchdog = None


def serve_rank_zero() -> None:
    """Run the calls that rank 0 broadcasts, until it has no more."""
    while (call := _receive_call()) is not None:
        function, arguments, named = call
        function(*arguments, **named)


def on_every_rank(stage: str) -> Callable:
    """Decorator: a call on rank 0 is a call on all ranks, with the same arguments.

    Arguments are pickled; an `OnEveryRank` arrives as the receiving rank's own. Inside such a call all
    ranks run the same code, so a marked function called there is a plain one.

    Args:
        stage: what this rank is doing meanwhile, see `at_stage`.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def everywhere(*arguments: Any, **named: Any) -> Any:
            global _inside
            if world_size() == 1 or _inside:
                return function(*arguments, **named)
            if rank() == 0:
                _broadcast_call((everywhere, arguments, named))
            _inside = True
            try:
                with at_stage(stage):
                    return function(*arguments, **named)
            finally:
                _inside = False

        return everywhere

    return decorate


class OnEveryRank:
    """Base of objects with one instance a rank, made in an `on_every_rank` call.

    Pickled as its number, so an argument of a call is the receiving rank's own instance.
    """

    _instances: ClassVar[list["OnEveryRank"]] = []

    def __init__(self) -> None:
        self._number = len(self._instances)
        self._instances.append(self)

    def __reduce__(self) -> tuple[Callable, tuple[int]]:
        return _instance, (self._number,)


def _instance(number: int) -> OnEveryRank:
    return OnEveryRank._instances[number]


@on_every_rank("ending")
def release(*kept: Any) -> None:
    """Drop the references to all `OnEveryRank` objects but these, so that their memory is freed."""
    OnEveryRank._instances[:] = [instance for instance in kept if isinstance(instance, OnEveryRank)]
    for number, instance in enumerate(OnEveryRank._instances):
        instance._number = number


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """The block on rank 0, then on the others: what it downloads or converts is there for them."""
    if rank() > 0:
        gather(None)
    yield
    if rank() == 0:
        gather(None)


def from_rank_zero(named_tensors: Iterable[tuple[str, Tensor]], device: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors of rank 0, each sent to all ranks when its turn comes. The others' are looked at for shapes
    and dtypes alone, and may be on the meta device. Of one process its own, as they are."""
    for name, tensor in named_tensors:
        if world_size() > 1:
            tensor = tensor.detach().to(device) if rank() == 0 else torch.empty_like(tensor, device=device)
            torch.distributed.broadcast(tensor, src=0)
        yield name, tensor


@contextmanager
def at_stage(stage: str) -> Iterator[None]:
    """Name what this rank is doing: shown by the others if this rank dies."""
    if _watchdog is None:
        yield
        return
    before, _watchdog.stage = _watchdog.stage, stage
    yield
    _watchdog.stage = before


def _broadcast_call(call: Any) -> None:
    torch.distributed.broadcast_object_list([call], src=0, device=torch.device("cpu"))


def _receive_call() -> Any:
    received = [None]
    torch.distributed.broadcast_object_list(received, src=0, device=torch.device("cpu"))
    return received[0]


def gather(value: Any) -> list[Any]:
    """The value of every rank, in rank order, on all ranks (all_gather_object)."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def gather_on_rank_zero(value: Any) -> list[Any]:
    """The value of every rank, in rank order, on rank 0; an empty list elsewhere (gather_object)."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size() if rank() == 0 else None
    torch.distributed.gather_object(value, values, dst=0)
    return values or []


def full_tensor(tensor: Tensor) -> Tensor:
    """The full tensor of a DTensor, a collective that all ranks call; a plain tensor as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def local_shard(tensor: Tensor) -> Tensor:
    """What this rank has of a DTensor; a plain tensor as it is."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
