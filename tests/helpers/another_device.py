"""CUDA's rules without CUDA: tensors that say they are on `cuda:0`, are computed on the CPU, and do not meet
the CPU's own. An operation whose tensors are of both places raises what CUDA raises.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from rlvr.policy import varlen
from rlvr.policy.policy import Policy
from rlvr.training import token_budget

CUDA = torch.device("cuda", 0)
aten = torch.ops.aten
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


class OnCuda(Tensor):
    """`plain` is the same memory as a tensor of the CPU."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @staticmethod
    def __new__(cls, plain: Tensor) -> "OnCuda":
        made = Tensor._make_subclass(cls, plain)
        made.plain = plain
        return made

    def __deepcopy__(self, memo: dict) -> Tensor:
        copy = OnCuda(self.plain.clone())
        copy = nn.Parameter(copy, self.requires_grad) if isinstance(self, nn.Parameter) else copy
        return memo.setdefault(id(self), copy)

    @classmethod
    def __torch_dispatch__(cls, operator, types, arguments=(), named=None):
        named = dict(named or {})
        device = named.pop("device", None)
        check_places(operator, arguments, named)
        plain, plain_named = tree_map_only(OnCuda, lambda tensor: tensor.plain, (arguments, named))
        found = operator(*plain, **plain_named)
        if operator._schema.is_mutable:  # what it gives is what it was given
            return arguments[0] if isinstance(found, Tensor) else found
        there = any(isinstance(leaf, OnCuda) for leaf in tree_leaves((arguments, named)))
        if there or (device is not None and device.type == "cuda"):
            return tree_map_only(Tensor, OnCuda, found)
        return found


def check_places(operator, arguments, named) -> None:
    """Raise RuntimeError where CUDA does: for tensors of two places, unless one is a single number, one is
    copied to the other, or those on the CPU are indices."""
    tensors = [leaf for leaf in tree_leaves((arguments, named)) if isinstance(leaf, Tensor)]
    if operator.overloadpacket is aten.copy_ or not any(isinstance(tensor, OnCuda) for tensor in tensors):
        return
    if operator.overloadpacket in INDEXING and isinstance(tensors[0], OnCuda):
        tensors = [tensors[0], tensors[-1]] if tensors[-1].is_floating_point() else tensors[:1]
    if any(tensor.dim() and not isinstance(tensor, OnCuda) for tensor in tensors):
        raise RuntimeError(
            f"{operator}: expected all tensors to be on the same device, but found cuda:0 and cpu"
        )


class Operations(TorchDispatchMode):
    """Of tensors that are made on a device too."""

    def __torch_dispatch__(self, operator, types, arguments=(), named=None):
        return OnCuda.__torch_dispatch__(operator, types, arguments, named)


class Functions(TorchFunctionMode):
    """Those of which no operation is told where a tensor goes."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = dict(named or {})
        if function is torch.tensor and torch.device(named.get("device") or "cpu").type == "cuda":
            return OnCuda(torch.tensor(*arguments, **named | {"device": "cpu"}))
        if not arguments or not isinstance(arguments[0], OnCuda):
            return function(*arguments, **named)
        if function is Tensor.numpy:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if function is Tensor.tolist:
            return arguments[0].plain.tolist()
        wanted = [named.get("device"), *arguments[1:]]
        if function is Tensor.cpu or (function is Tensor.to and {"cpu", torch.device("cpu")} & set(wanted)):
            return arguments[0].detach().plain.clone()
        return function(*arguments, **named)


def on_cuda(policy: Policy) -> Policy:
    """The same policy, there; it has to be one that `runs_on` CUDA."""
    there = {
        id(tensor): nn.Parameter(OnCuda(tensor.detach()), tensor.requires_grad)
        for tensor in policy.model.parameters()
    } | {id(tensor): OnCuda(tensor) for tensor in policy.model.buffers()}
    for module in policy.model.modules():
        for tensors in (module._parameters, module._buffers):
            tensors.update({name: there.get(id(tensor)) for name, tensor in tensors.items()})
    return policy


@contextmanager
def another_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The context in which there is such a device."""
    of_cpu = {
        name: getattr(torch, name)
        for name in ("autocast", "Generator", "is_autocast_enabled", "get_autocast_dtype")
    }
    with ExitStack() as stack:
        patch = stack.enter_context(monkeypatch.context())
        for name, function in of_cpu.items():
            patch.setattr(
                torch, name, lambda device="cpu", *rest, f=function, **named: f("cpu", *rest, **named)
            )
        patch.setattr(torch.cuda, "_lazy_init", lambda: None)
        patch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
        patch.setattr(token_budget, "free_bytes", lambda device: 2**33)
        patch.setattr(varlen, "flash", varlen.one_by_one)  # the same, of kernels that a CPU has
        stack.enter_context(Functions())
        stack.enter_context(Operations())
        yield
