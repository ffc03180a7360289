"""Weights that are whole: every tensor of the model comes from its files, and the model is a decoder."""

import hashlib
import re
from collections.abc import Collection
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from rlvr.errors import UserError


def load_weights(path: str, **settings: Any) -> PreTrainedModel:
    """The decoder of a local folder or a hub id, from safetensors, without running any code of theirs.

    Args:
        settings: of transformers' `from_pretrained` (`dtype`, `attn_implementation`).

    Raises:
        UserError: a model that is no decoder; weights that lack a tensor, have one of another shape, or a
            layer that the config leaves out: transformers would fill in random numbers, or pass over it.
        OSError: no such model, or files that transformers can't read.
    """
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        check_decoder(config, path)
        model, found = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `check_whole` names the tensor
            **settings,
        )
    except UserError:
        raise
    except (KeyError, RuntimeError, TypeError, ValueError, StrictDataclassError, SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"the model at {path} can't be loaded: {reason}") from error
    check_whole(model, found, path)
    return model


def check_decoder(config: PreTrainedConfig, path: str) -> None:
    """Raise UserError for a model whose tokens see those after them: an encoder, or one with both parts."""
    kind = config.model_type
    encoder = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", True)
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or encoder or config.is_encoder_decoder:
        raise UserError(
            f"the model at {path} is a {(config.architectures or [kind])[0]}, which is no decoder: give a "
            "causal language model, such as a Qwen2ForCausalLM or a LlamaForCausalLM"
        )


def check_whole(model: PreTrainedModel, found: dict[str, Collection], path: str) -> None:
    """Raise UserError where the files do not have exactly the model's tensors."""
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"the weights at {path} lack {listed(missing)}: fetch the model again, or correct its config.json"
        )
    if mismatched := sorted(found["mismatched_keys"]):
        name, there, expected = mismatched[0]
        raise UserError(
            f"the weights at {path} have {name} of shape {list(there)}, not {list(expected)} as "
            "config.json says: fetch the model again, or correct its config.json"
        )
    known = model.state_dict().keys()
    left_out = [
        name for name in sorted(found["unexpected_keys"]) if re.sub(r"\.\d+\.", ".0.", name, count=1) in known
    ]
    if left_out:
        raise UserError(
            f"the weights at {path} have layers that config.json leaves out, such as {listed(left_out)}: "
            "correct its number of layers"
        )


def weights_digest(model: torch.nn.Module) -> str:
    """16 hexadecimal digits of all weights of a model and their names."""
    digest = hashlib.blake2b(digest_size=8)
    for name, weight in model.named_parameters():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more tensors" if len(names) > 3 else "")
