"""A policy: a transformers causal language model, its tokenizer, and how it is prompted."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
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
from transformers.utils import cached_file, logging

from rlvr.config import ModelConfig
from rlvr.config.chat_template import template_text
from rlvr.data import Problem
from rlvr.errors import UserError, nearest
from rlvr.policy import cpu
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.attention import ATTENTION, Layout
from rlvr.policy.kernels import DTYPES, Kernels
from rlvr.policy.location import EMBEDDED, find, unavailable
from rlvr.policy.logprobs import head_logprobs
from rlvr.policy.model_files import check_folder, reason
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.prompts import Prompts, check_template, render
from rlvr.policy.trial import check_model, check_tokens
from rlvr.policy.weights import load_weights, model_without_weights

__all__ = ["EMBEDDED", "Policy", "load_policy", "load_tokenizer"]

FILE_SIZE = "5GB"  # of weights at most, so that the digests of several files are taken at the same time

logging.disable_progress_bar()  # transformers' own, one for every load


class Policy:
    """The model with its tokenizer.

    Args:
        prompts: what stands around a problem's own words, by verifier (`rlvr.policy.prompts`).
        end_tokens: tokens that end a completion, besides those of the tokenizer and the generation config.
        stop_strings: texts that end a completion once it has one of them, besides the generation config's.
        runs_on: the device that the model will work on, if it is moved to another than it is on.
        adapter: what alone is trained of the model, if it is not all of it.

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
        runs_on: str | None = None,
        adapter: Adapter | None = None,
    ):
        self.model = model
        self.adapter = adapter
        self.tokenizer = tokenizer
        self.stop_strings = all_stop_strings(model.generation_config.stop_strings, stop_strings)
        self.prompts = prompts or {}
        self.model.set_attn_implementation(ATTENTION)
        on_cpu = torch.device(runs_on or self.device).type == "cpu"
        self.kernels = cpu.optimize(model) if on_cpu else Kernels()
        linears = [module for module in model.base_model.modules() if isinstance(module, nn.Linear)]
        self._largest = max((layer.weight.numel() for layer in linears), default=0)
        self.end_ids = end_token_ids(tokenizer, model.generation_config.eos_token_id, end_tokens)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def head(self) -> nn.Module:
        """The layer that turns hidden states into logits."""
        return self.model.get_output_embeddings()

    def autocast(self, precision: str) -> AbstractContextManager:
        """The context of a forward (and its backward) in `precision`, whatever the weights are in."""
        return self.kernels.autocast(self.device, precision)

    @property
    def drops(self) -> bool:
        """Whether a gradient's forward has dropout."""
        return self.adapter is not None and self.adapter.config.lora_dropout > 0

    def dropout(self, seed: int) -> AbstractContextManager:
        """The context of a gradient: dropout of the adapter, if it has any."""
        return self.adapter.dropout(seed) if self.adapter else nullcontext()

    def hidden(self, tokens_T: Tensor, positions_T: Tensor, layout: Layout) -> Tensor:
        """Last hidden states [T, hidden] of a flat row of tokens."""
        length = len(tokens_T)
        missing = self.kernels.padded_rows(length, self._largest) - length
        tokens_T, positions_T = (pad(row_T, (0, missing)) for row_T in (tokens_T, positions_T))
        return self.model.base_model(
            input_ids=tokens_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        ).last_hidden_state[0, :length]

    def logits(self, hidden_NE: Tensor) -> Tensor:
        """What the head makes of hidden states, [N, vocabulary]."""
        missing = self.kernels.padded_rows(len(hidden_NE), self.head.weight.numel()) - len(hidden_NE)
        return self.head(pad(hidden_NE, (0, 0, 0, missing)))[: len(hidden_NE)]

    def logprobs(self, tree: PrefixTree, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy at every completion token, float32 [M], rollout after rollout, in nats.

        Differentiable; what rollouts share is computed once, and memory does not grow with the vocabulary.

        Args:
            temperature: of the distribution, by which logits are divided.

        Raises:
            UserError: for another temperature than 1 where the head has a bias.
        """
        if temperature != 1 and getattr(self.head, "bias", None) is not None:
            raise UserError(
                f"training.sampling.temperature={temperature:g} was given, and the head of this model has a "
                "bias: accepted is 1"
            )
        hidden_TE = self.hidden(tree.tokens_T, tree.positions_T, self.kernels.attention(tree))
        hidden_NE = hidden_TE.index_select(0, tree.predictor_N)
        if temperature != 1:
            hidden_NE = hidden_NE / temperature  # the head is linear
        logp_N, entropy_N = head_logprobs(hidden_NE, self.head, tree.targets_N, self.kernels)
        return logp_N.index_select(0, tree.prefix_M), entropy_N.index_select(0, tree.prefix_M)

    def encode(self, problem: Problem) -> list[int]:
        """Token ids of a problem's prompt, up to where the answer begins."""
        return self.encoder(problem)

    @property
    def encoder(self) -> Callable[[Problem], list[int]]:
        """`encode`, for one that is to hold no weights."""
        return partial(_encode, self.tokenizer, self.prompts, len(self.model.get_input_embeddings().weight))

    def weights(self) -> Iterable[tuple[str, Tensor]]:
        """All parameters by name, tied ones once, an adapter's too: what an engine takes over."""
        return self.model.named_parameters()

    def save(self, folder: Path) -> None:
        """Write a transformers folder: safetensors, config and tokenizer; of an adapter a peft folder."""
        if self.adapter:
            self.adapter.save(folder, trained(self.model))
            return
        self.model.save_pretrained(folder, safe_serialization=True, max_shard_size=FILE_SIZE)
        self.tokenizer.save_pretrained(folder)

    def merge_adapter(self) -> None:
        """Make the adapter a part of the weights."""
        if self.adapter:
            self.adapter.merge(self.model)
            self.adapter = None


def _encode(
    tokenizer: PreTrainedTokenizerBase, prompts: Prompts, vocabulary: int, problem: Problem
) -> list[int]:
    ids = render(tokenizer, problem, prompts)
    if (last := max(ids)) >= vocabulary:
        raise UserError(
            f"the tokenizer {tokenizer.name_or_path!r} has token {last} in problem {problem.id}, "
            f"and the model has {vocabulary} tokens: fetch the tokenizer of this model"
        )
    return ids


def load_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with the chat template that `model.chat_template` gives it."""
    tokenizer = _tokenizer_at(find(model))
    if model.chat_template is not None:
        tokenizer.chat_template = template_text(model.chat_template)
    return tokenizer


def _tokenizer_at(path: str) -> PreTrainedTokenizerBase:
    """A tokenizer.json, here or on the hub, is taken at its word; AutoTokenizer rebuilds some by class."""
    if Path(path).is_dir():
        check_folder(Path(path))
    try:
        if cached_file(path, "tokenizer.json", _raise_exceptions_for_missing_entries=False):
            return PreTrainedTokenizerFast.from_pretrained(path)
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, UserError):
        raise
    except Exception as error:  # tokenizers, a library in Rust, raises no kind of its own
        raise UserError(f"the tokenizer at {path} can't be read ({reason(error)}): fetch it again") from error


def token_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of a special token such as `<|im_end|>`."""
    if token not in (vocabulary := tokenizer.get_vocab()):
        special = tokenizer.get_added_vocab()
        raise UserError(f"model.end_tokens: {token!r} is not in the vocabulary{nearest(token, special)}")
    return vocabulary[token]


def end_token_ids(
    tokenizer: PreTrainedTokenizerBase, ends: int | list[int] | None, end_tokens: Sequence[str]
) -> list[int]:
    """Ids of the tokens that end a completion: the tokenizer's and the named ones, and `ends`.

    Args:
        ends: `eos_token_id` of a generation config.
    """
    ends = list(ends or []) if isinstance(ends, list | None) else [ends]
    if odd := [end for end in ends if type(end) is not int]:
        raise UserError(
            f"the model of {tokenizer.name_or_path!r} ends at token {odd[0]!r}: accepted are whole "
            "numbers; correct eos_token_id in generation_config.json"
        )
    named = [token_id(tokenizer, token) for token in end_tokens]
    return sorted({*ends, *named, tokenizer.eos_token_id} - {None})


def all_stop_strings(own: str | list[str] | None, given: Sequence[str]) -> tuple[str, ...]:
    """Texts that end a completion: those of a generation config, which an export has, and the given ones.

    Args:
        own: `stop_strings` of a generation config.
    """
    own = [own] if isinstance(own, str) else own or []
    if not isinstance(own, list) or not all(isinstance(text, str) and text for text in own):
        raise UserError(
            f"the model ends at the text {own!r}: accepted are texts of one character or more; correct "
            "stop_strings in generation_config.json"
        )
    return tuple(dict.fromkeys([*own, *given]))


def load_policy(
    path: str | Path,
    *,
    settings: ModelConfig | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    runs_on: str | None = None,
    adapt: Callable[[PreTrainedModel], Adapter] | None = None,
) -> Policy:
    """Load a policy from a local folder or a hub id; "embedded" is the one that ships with rlvr.

    Weights are read as safetensors only (a package's GGUF is converted first), and no code that comes
    with them is ever run.

    Args:
        path: of the weights and tokenizer; may be a checkpoint of the model that `settings` describes.
        settings: what the config says of the model: its prompts, end tokens and package.
        dtype: of the weights: "float32", "bfloat16" or "float16".
        device: where it is put; on "meta" it has no weights, and what is wrong with them is not found.
        runs_on: where it is moved later, if that is another device.
        adapt: puts an adapter into the model.
    """
    described = replace(settings or ModelConfig(), path=str(path))
    load = model_without_weights if device == "meta" else load_weights
    try:
        tokenizer = load_tokenizer(described)
        model = load(find(described), dtype=DTYPES[dtype], attn_implementation=ATTENTION)
    except OSError as error:
        raise unavailable(described) from error
    adapter = adapt(model) if adapt else None
    policy = Policy(
        (model if device == "meta" else model.to(device)).eval(),
        tokenizer,
        prompts=described.prompts,
        end_tokens=described.end_tokens,
        stop_strings=described.stop_strings,
        runs_on=runs_on,
        adapter=adapter,
    )
    check_tokens(policy, str(path))
    check_template(policy.tokenizer, policy.prompts)
    if device != "meta":
        check_model(policy, str(path))
    return policy
