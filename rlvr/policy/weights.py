"""Weights that are whole: every tensor of the model comes from its files, and the model is a decoder."""

import hashlib
import math
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.conversion_mapping import extract_weight_conversions_for_model
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from rlvr.errors import UserError
from rlvr.policy.model_files import Shapes, check_folder, reason, stored_shapes

# what transformers and torch raise at a config with numbers that no model has
ODD_CONFIG = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, RuntimeError),
    *(TypeError, ValueError, StrictDataclassError, SafetensorError),
)


def load_weights(path: str, **settings: Any) -> PreTrainedModel:
    """The decoder of a local folder or a hub id, from safetensors, without running any code of theirs.

    Args:
        settings: of transformers' `from_pretrained` (`dtype`, `attn_implementation`).

    Raises:
        UserError: a model that is no decoder, or whose attention is not rlvr's; weights that lack a tensor,
            have one of another shape, or one that the config leaves out: transformers would fill in random
            numbers, or pass over it; weights with NaN.
        OSError: no such model, or files that transformers can't read.
    """
    with odd_config_as_sentence(path):
        model, found = AutoModelForCausalLM.from_pretrained(
            path,
            config=decoder_config(path),
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # `check_whole` names the tensor
            **settings,
        )
    check_whole(model, found, path)
    check_head(model, path)
    if bad := next((name for name, weight in model.named_parameters() if not weight.isfinite().all()), None):
        raise UserError(f"the weights at {path} have NaN or infinity in {bad}: fetch the model again")
    return model


def decoder_config(path: str) -> PreTrainedConfig:
    """The config of a model; UserError for one that is not to be loaded, before room is made for it."""
    config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    check_decoder(config, path)
    check_attention(config, path)
    check_size(config, path)
    return config


@contextmanager
def odd_config_as_sentence(path: str) -> Iterator[None]:
    """Raise what transformers and torch make of an odd config as one sentence that names the model."""
    try:
        yield
    except UserError:
        raise
    except ODD_CONFIG as error:
        raise UserError(
            f"the model at {path} can't be loaded ({reason(error)}): correct its config.json, or fetch it "
            "again"
        ) from error


def check_stored(path: str) -> None:
    """Raise what loading a local folder would say, as far as the headers of its files tell."""
    check_folder(Path(path))
    with odd_config_as_sentence(path):
        config = decoder_config(path)
        model = model_without_weights(path)
        renamed = extract_weight_conversions_for_model(model) or getattr(config, "quantization_config", None)
    if not renamed:  # else transformers makes the model's tensors of others
        check_whole(model, differences(model, stored_shapes(Path(path))), path)


def differences(model: PreTrainedModel, stored: Shapes) -> dict[str, Collection]:
    """What transformers says of loading: tensors that the files lack, have more, or in another shape."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    prefix = f"{model.base_model_prefix}."

    def place(name: str) -> str:  # of a tensor of the model without its head, or saved from deeper in
        spellings = (name, prefix + name, name.removeprefix(prefix))
        return next((spelling for spelling in spellings if spelling in expected), name)

    found = {place(name): shape for name, shape in stored.items()}
    tied = model.all_tied_weights_keys  # of two that are one the source is named
    for name, other in tied.items():
        if (shape := found.get(name, found.get(other))) is not None:
            found[name] = found[other] = shape
    both = (found.keys() & expected.keys()) - tied.keys()
    return {
        "missing_keys": expected.keys() - found.keys(),
        "unexpected_keys": found.keys() - expected.keys(),
        "mismatched_keys": [
            (name, found[name], expected[name]) for name in both if found[name] != expected[name]
        ],
    }


def model_without_weights(path: str, **settings: Any) -> PreTrainedModel:
    """As `load_weights` gives it, but its parameters are on the meta device: no file of weights is opened.

    Buffers, such as the frequencies of rotary embeddings, are computed. Nothing is checked.
    """
    config = AutoConfig.from_pretrained(path, trust_remote_code=False)
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, **settings)
    model.tie_weights()
    with suppress(OSError):  # without a file it is that of the config
        model.generation_config = GenerationConfig.from_pretrained(path)
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


def check_attention(config: PreTrainedConfig, path: str) -> None:
    """Raise UserError where a token does not see all tokens before it: `rlvr.policy.attention` has it so."""
    kinds = getattr(config, "layer_types", None) or []
    if other := next((kind for kind in kinds if kind not in ("full_attention", "sliding_attention")), None):
        raise UserError(
            f"the model at {path} has a layer of {other} (layer_types in config.json): accepted are layers "
            "of full_attention, as in Qwen2, Qwen3, Llama and Mistral"
        )
    if cap := getattr(config, "attn_logit_softcapping", None):
        raise UserError(
            f"the model at {path} caps its attention scores at {cap} (attn_logit_softcapping in "
            "config.json), which rlvr's attention does not: choose one without, as Qwen3 or Llama"
        )
    rope = getattr(config, "rope_parameters", None) or {}
    original = rope.get("original_max_position_embeddings") or config.max_position_embeddings
    if rope.get("rope_type") == "longrope" and original < config.max_position_embeddings:
        # transformers chooses by the longest text of a row, and a row here is of many
        raise UserError(
            f"the model at {path} turns positions otherwise in texts of more than {original} tokens "
            "(rope_type longrope in config.json), and rlvr computes short and long texts together: where no "
            "text is longer than that, set max_position_embeddings to it"
        )
    window = getattr(config, "sliding_window", None) or 0
    slides = "sliding_attention" in kinds if kinds else window
    if slides and window < config.max_position_embeddings:
        raise UserError(
            f"the model at {path} attends to the last {window} of {config.max_position_embeddings} tokens "
            "(sliding_window in config.json), and rlvr's attention to all: where no text is longer than "
            "that, set max_position_embeddings to it"
        )


def check_size(config: PreTrainedConfig, path: str) -> None:
    """Raise UserError for a config of a far larger model than the weights are."""
    if not Path(path).is_dir() or getattr(config, "quantization_config", None):
        return
    stored = sum(math.prod(shape) for shape in stored_shapes(Path(path)).values())
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    if (described := sum(weight.numel() for weight in model.parameters())) > 2 * stored:
        raise UserError(
            f"config.json of {path} describes a model of {described:,} numbers, and its weights are "
            f"{stored:,}: fetch the model again, or correct its config.json"
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
    unexpected = sorted(found["unexpected_keys"])
    if left_out := [name for name in unexpected if re.sub(r"\.\d+\.", ".0.", name, count=1) in known]:
        raise UserError(
            f"the weights at {path} have layers that config.json leaves out, such as {listed(left_out)}: "
            "correct its number of layers"
        )
    # a bias, or the scale of a quantised weight: without it the layer is another
    layers = {name.rpartition(".")[0] for name in known}
    if left_out := [name for name in unexpected if name.rpartition(".")[0] in layers]:
        raise UserError(
            f"the weights at {path} have {listed(left_out)}, for which the model of config.json has no "
            "place: correct its model_type"
        )


def check_head(model: PreTrainedModel, path: str) -> None:
    """Raise UserError for a head that is not the embedding, where the config says that they are one."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    tied = getattr(model.config, "tie_word_embeddings", False)
    # transformers takes the stored head then, and vLLM the embedding
    if tied and head is not None and not torch.equal(head.weight, embedding.weight):
        raise UserError(
            f"the weights at {path} have a head of their own, and config.json says that it is the embedding: "
            "correct tie_word_embeddings there"
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
