"""A low-rank adapter (LoRA, Hu et al. 2021) inside a model, by peft.

The model's own weights W are frozen. A linear layer around which there is an adapter gives
W x + (alpha / rank) B A x, and A [rank, inputs] and B [outputs, rank] are all that is trained. A is random, B
is zero at first, so the policy starts as its base, bit for bit; and the base is there for a KL term whenever
the adapter is switched off.

What this module does not do: adapters around embeddings or the head, several adapters, other kinds than LoRA.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from rlvr.config.schema import LoRAConfig
from rlvr.errors import UserError, unknown
from rlvr.policy.weights import weights_digest

BASE = "base.json"  # what the adapter of a checkpoint is around
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"  # as peft names and reads them
NAME = "default"  # peft's of an adapter that is the only one; a part of its parameters' names


class Adapter:
    """Made around layers of a model, in place; peft's layers stand where the linear layers stood.

    Args:
        model: on the CPU, or wherever it will stay; frozen from now on.
        settings: rank, alpha, dropout, and around which layers.
        path: where the model is from, for others to find it.
        seed: of A.
        base: `weights_digest` of the model where it is known: of 7B it takes half a minute.

    Attributes:
        base: the same; empty where the model is on the meta device.
        layers: peft's layers by name.
        scaling: alpha / rank.

    Raises:
        UserError: for a name that no linear layer of the decoder has.
    """

    def __init__(
        self, model: PreTrainedModel, settings: LoRAConfig, *, path: str, seed: int, base: str | None = None
    ):
        import peft  # takes seconds, and a run without an adapter does without

        self.base = "" if model.device.type == "meta" else base or weights_digest(model)
        self.path = path
        self.scaling = settings.alpha / settings.rank
        whole = float(settings.alpha).is_integer()  # vLLM reads no other number
        self.config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=int(settings.alpha) if whole else settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=targets(model, settings.target_modules),
            task_type=peft.TaskType.CAUSAL_LM,
        )
        model.requires_grad_(False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            peft.inject_adapter_in_model(self.config, model, NAME)
        self.layers = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, peft.tuners.lora.LoraLayer)
        }
        for parameter in trained(model).values():
            parameter.data = parameter.data.float()  # small steps would be lost in half precision

    @contextmanager
    def off(self) -> Iterator[None]:
        """The model without the adapter."""
        # not peft's `enable_adapters`, which also freezes: a sharded parameter that is gathered for the first
        # time while it is frozen would stay so
        for layer in self.layers.values():
            layer._disable_adapters = True
        try:
            yield
        finally:
            for layer in self.layers.values():
                layer._disable_adapters = False

    @contextmanager
    def dropout(self, seed: int) -> Iterator[None]:
        """The context of a gradient: activations that go into A are dropped, drawn from a seed."""
        if not self.config.lora_dropout:
            yield
            return
        for layer in self.layers.values():
            layer.lora_dropout.train()
        device = next(iter(self.layers.values())).weight.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
        for layer in self.layers.values():
            layer.lora_dropout.eval()

    @property
    def merged(self) -> Callable[[Iterable[tuple[str, Tensor]]], Iterator[tuple[str, Tensor]]]:
        """A function of all parameters in their order, full, which gives those that there are without an
        adapter, W + (alpha / rank) B A in place of W; one layer is held at a time, and the model is not."""
        return partial(_merged, frozenset(self.layers), self.scaling)

    def merge(self, model: PreTrainedModel) -> None:
        """Put the sums where the layers were: the model is a plain one again, and none of it is frozen."""
        for name, tensor in list(self.merged(model.named_parameters())):
            module = name.rpartition(".")[0]
            if module not in self.layers:
                continue
            layer = self.layers[module].get_base_layer()
            setattr(layer, name.rpartition(".")[2], nn.Parameter(tensor))
            parent, _, child = module.rpartition(".")
            setattr(model.get_submodule(parent), child, layer)
        model.requires_grad_(True)

    def save(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write a peft folder, and the digest of the base beside it.

        Args:
            tensors: `trained` parameters, full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        on_disk = {file_name(name): tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(on_disk, folder / WEIGHTS, metadata={"format": "pt"})
        settings = self.config.to_dict() | {"base_model_name_or_path": self.path, "inference_mode": True}
        (folder / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True, default=sorted))
        (folder / BASE).write_text(json.dumps({"model": self.path, "digest": self.base}, indent=2))

    @torch.no_grad()
    def load(self, model: PreTrainedModel, folder: Path) -> None:
        """Take over the adapter in a folder.

        Raises:
            UserError: for the adapter of another base or of other settings, and a folder that has none.
        """
        saved = read_base(folder)
        if saved["digest"] != self.base:
            raise UserError(
                f"{folder} is an adapter of {saved['model']} with weights {saved['digest']}, but the base at "
                f"{self.path} has weights {self.base}: give the one it was trained on as model.path="
            )
        try:
            tensors = load_file(folder / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise UserError(f"the adapter in {folder} can't be read: {error}") from error
        own = {file_name(name): parameter for name, parameter in trained(model).items()}
        if {name: t.shape for name, t in tensors.items()} != {name: p.shape for name, p in own.items()}:
            raise UserError(
                f"the adapter in {folder} has another rank or other layers than adapter.rank="
                f"{self.config.r} adapter.target_modules=[{','.join(sorted(self.config.target_modules))}]"
            )
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


@torch.no_grad()
def _merged(
    layers: Collection[str], scaling: float, named_tensors: Iterable[tuple[str, Tensor]]
) -> Iterator[tuple[str, Tensor]]:
    held: dict[str, Tensor] = {}
    for name, tensor in named_tensors:
        module, _, part = name.rpartition(".base_layer.")
        if ".lora_" not in name and module not in layers:
            yield name, tensor
        elif part == "bias":
            yield f"{module}.bias", tensor
        elif part == "weight":
            held = {"weight": tensor}
        elif ".lora_A." in name:
            held["A"] = tensor
        else:
            weight_OI = held["weight"]
            added_OI = scaling * (tensor.float() @ held["A"].float())
            summed_OI = (weight_OI.float() + added_OI).to(weight_OI.dtype)
            yield f"{name.partition('.lora_')[0]}.weight", summed_OI


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that are not frozen."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def targets(model: PreTrainedModel, wanted: str | list[str]) -> list[str]:
    """Last parts of the names of linear layers in the decoder; "all-linear" are all of them."""
    linear = {
        name.rpartition(".")[2]
        for name, module in model.base_model.named_modules()
        if isinstance(module, nn.Linear)
    }
    if not linear:
        raise UserError(
            f"adapter=lora with a {model.config.model_type}, whose decoder has no linear layer of torch's: "
            "accepted is adapter=none, or a model such as Qwen2, Qwen3 or Llama"
        )
    names = sorted(linear) if wanted == "all-linear" else [wanted] if isinstance(wanted, str) else wanted
    for name in names:
        if name not in linear:
            raise unknown("linear layer in adapter.target_modules", name, ["all-linear", *sorted(linear)])
    return list(names)


def file_name(parameter: str) -> str:
    """The name that peft gives a parameter in a file."""
    return f"base_model.model.{parameter.replace(f'.{NAME}.', '.')}"


def read_base(folder: Path) -> dict[str, Any]:
    """The `model` and `digest` that an adapter's folder names as its base."""
    try:
        base = json.loads((folder / BASE).read_bytes())
        return {"model": str(base["model"]), "digest": str(base["digest"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} has no adapter in it: {BASE} can't be read ({error})") from error
