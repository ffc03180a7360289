"""Several processes on one run: rank 0 leads, and the others do with it what takes all of them.

torchrun starts the processes. Rank 0 runs the program as a single process would; a function marked
`on_every_rank` it calls on all ranks at once, each with its own share of the policy and the optimizer and an
engine of its own. The other ranks `follow`: they wait for such calls. So only rank 0 writes files and talks
to W&B, and what is not marked need not know of ranks.

With one process none of this does anything, and torch.distributed is not initialised.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlvr.errors import UserError
from rlvr.training.distributed.watchdog import Watchdog

# a rank that is gone is the watchdog's to find; one that is slow is waited for
PATIENCE = timedelta(hours=12)

_watchdog: Watchdog | None = None
_inside = False  # a call on every rank is going on


def world_size() -> int:
    """Number of processes of this run, as torchrun says."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


@contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes of a run until the block ends. Rank 0's end is everybody's."""
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
        backend, store=store, rank=rank(), world_size=world_size(), timeout=PATIENCE
    )
    _watchdog.stage = "leading" if rank() == 0 else "waiting for rank 0"
    try:
        yield
        if rank() == 0:
            _tell(None)
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


def follow() -> None:
    """Do what rank 0 asks of all ranks, until it is done."""
    while (call := _hear()) is not None:
        function, arguments, named = call
        function(*arguments, **named)


def on_every_rank(stage: str) -> Callable:
    """Mark a function as one that rank 0 calls on all ranks, with the same arguments.

    Arguments are pickled; an `OnEveryRank` arrives as the receiving rank's own. Inside such a call all
    ranks run the same code, so a marked function called there is a plain one.

    Args:
        stage: what a rank is said to have been doing if it ends there.
    """

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def everywhere(*arguments: Any, **named: Any) -> Any:
            global _inside
            if world_size() == 1 or _inside:
                return function(*arguments, **named)
            if rank() == 0:
                _tell((everywhere, arguments, named))
            _inside = True
            try:
                with at_stage(stage):
                    return function(*arguments, **named)
            finally:
                _inside = False

        return everywhere

    return decorate


class OnEveryRank:
    """An object that every rank has one of, made in an `on_every_rank` call.

    Sent to another rank, it is that rank's own.
    """

    _made: ClassVar[list["OnEveryRank"]] = []

    def __init__(self) -> None:
        self._number = len(self._made)
        self._made.append(self)

    def __reduce__(self) -> tuple[Callable, tuple[int]]:
        return _own, (self._number,)


def _own(number: int) -> OnEveryRank:
    return OnEveryRank._made[number]


@on_every_rank("ending")
def forget() -> None:
    """Let go of all objects that every rank has one of, so that their memory is freed."""
    OnEveryRank._made.clear()


@contextmanager
def at_stage(stage: str) -> Iterator[None]:
    """Say what this rank is doing, for when it is heard of no more."""
    if _watchdog is None:
        yield
        return
    before, _watchdog.stage = _watchdog.stage, stage
    yield
    _watchdog.stage = before


def _tell(call: Any) -> None:
    torch.distributed.broadcast_object_list([call], src=0, device=torch.device("cpu"))


def _hear() -> Any:
    heard = [None]
    torch.distributed.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
    return heard[0]


def gather(value: Any) -> list[Any]:
    """One value of every rank, by rank, on all ranks."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def gather_on_leader(value: Any) -> list[Any]:
    """One value of every rank, by rank, on rank 0; an empty list elsewhere."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size() if rank() == 0 else None
    torch.distributed.gather_object(value, values, dst=0)
    return values or []


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together, which takes all ranks; a plain one as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
