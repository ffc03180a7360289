"""A policy: a transformers causal language model, its tokenizer, and how it is prompted."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from rlvr.config import ModelConfig
from rlvr.data import Problem
from rlvr.errors import UserError, nearest
from rlvr.policy.attention import ATTENTION, Layout
from rlvr.policy.cpu.layers import keep_less
from rlvr.policy.cpu.linear import Autocast, has_few_weights, rounded, use_onednn
from rlvr.policy.location import EMBEDDED, find, unavailable
from rlvr.policy.prompts import Prompts, render
from rlvr.policy.weights import load_weights

__all__ = ["EMBEDDED", "Policy", "load_policy", "load_tokenizer"]

logging.disable_progress_bar()  # transformers' own, one for every load
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Policy:
    """The model with its tokenizer.

    Args:
        prompts: what stands around a problem's own words, by verifier (`rlvr.policy.prompts`).
        end_tokens: tokens that end a completion, besides those of the tokenizer and the generation config.
        stop_strings: texts that end a completion once it has one of them.

    Attributes:
        model: any transformers decoder whose attention goes through the attention interface.
        end_ids: token ids that end a completion.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompts: Prompts | None = None,
        end_tokens: Sequence[str] = (),
        stop_strings: Sequence[str] = (),
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.stop_strings = tuple(stop_strings)
        self.prompts = prompts or {}
        self.model.set_attn_implementation(ATTENTION)
        use_onednn(self.model)
        keep_less(self.model)
        if self.device.type == "cpu" and model.config.tie_word_embeddings:
            # few rows, which add to the gradient of the head: that one is always there first
            model.get_input_embeddings().sparse = True
        weights = [
            module.weight for module in self.model.base_model.modules() if isinstance(module, nn.Linear)
        ]
        self._few_weights = all(map(has_few_weights, weights))
        ends = model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else list(ends or [])
        named = [token_id(tokenizer, token) for token in end_tokens]
        self.end_ids: list[int] = sorted({*ends, *named, tokenizer.eos_token_id} - {None})

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def head(self) -> Tensor:
        """The output embedding [vocabulary, hidden]."""
        return self.model.get_output_embeddings().weight

    def autocast(self, precision: str) -> AbstractContextManager:
        """The context of a forward (and its backward) in `precision`, whatever the weights are in."""
        if precision == "float32":
            return nullcontext()
        return Autocast(self.device.type, DTYPES[precision])

    def hidden(self, tokens_T: Tensor, positions_T: Tensor, layout: Layout) -> Tensor:
        """Last hidden states [T, hidden] of a flat row of tokens."""
        length = len(tokens_T)
        if tokens_T.is_cpu:
            missing = rounded(length, self._few_weights) - length
            tokens_T, positions_T = (pad(row_T, (0, missing)) for row_T in (tokens_T, positions_T))
        return self.model.base_model(
            input_ids=tokens_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        ).last_hidden_state[0, :length]

    def encode(self, problem: Problem) -> list[int]:
        """Token ids of a problem's prompt, up to where the answer begins."""
        return render(self.tokenizer, problem, self.prompts)

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """All parameters by name, tied ones once: what an engine takes over."""
        return self.model.named_parameters()

    def save(self, folder: Path) -> None:
        """Write a transformers folder: safetensors, config and tokenizer."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)


def load_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """A local tokenizer.json is taken at its word; AutoTokenizer rebuilds Qwen2's by its class."""
    path = find(model)
    if (Path(path) / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(path)
    return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of a special token such as `<|im_end|>`."""
    if token not in (vocabulary := tokenizer.get_vocab()):
        special = tokenizer.get_added_vocab()
        raise UserError(f"model.end_tokens: {token!r} is not in the vocabulary{nearest(token, special)}")
    return vocabulary[token]


def load_policy(
    path: str | Path, *, settings: ModelConfig | None = None, dtype: str = "float32", device: str = "cpu"
) -> Policy:
    """Load a policy from a local folder or a hub id; "embedded" is the one that ships with rlvr.

    Weights are read as safetensors only (a package's GGUF is converted first), and no code that comes
    with them is ever run.

    Args:
        path: of the weights and tokenizer; may be a checkpoint of the model that `settings` describes.
        settings: what the config says of the model: its prompts, end tokens and package.
        dtype: of the weights: "float32", "bfloat16" or "float16".
    """
    described = replace(settings or ModelConfig(), path=str(path))
    try:
        tokenizer = load_tokenizer(described)
        model = load_weights(find(described), dtype=DTYPES[dtype], attn_implementation=ATTENTION)
    except OSError as error:
        raise unavailable(described) from error
    return Policy(
        model.to(device).eval(),
        tokenizer,
        prompts=described.prompts,
        end_tokens=described.end_tokens,
        stop_strings=described.stop_strings,
    )
