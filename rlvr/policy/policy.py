"""A policy: a transformers causal language model, its tokenizer, and how it is prompted."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from rlvr.errors import UserError
from rlvr.policy.attention import ATTENTION, Layout
from rlvr.problems.problem import Problem

EMBEDDED = Path(__file__).parent / "embedded"
logging.disable_progress_bar()  # transformers' own, one for every load
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Policy:
    """The model with its tokenizer.

    Attributes:
        model: any transformers decoder whose attention goes through the attention interface.
        end_ids: token ids that end a completion.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
        self.model = model
        self.tokenizer = tokenizer
        self.model.set_attn_implementation(ATTENTION)
        ends = model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else list(ends or [])
        self.end_ids: list[int] = sorted({*ends, tokenizer.eos_token_id} - {None})

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def head(self) -> Tensor:
        """The output embedding [vocabulary, hidden]."""
        return self.model.get_output_embeddings().weight

    def hidden(self, tokens_T: Tensor, positions_T: Tensor, layout: Layout) -> Tensor:
        """Last hidden states [T, hidden] of a flat row of tokens."""
        return self.model.base_model(
            input_ids=tokens_T[None], position_ids=positions_T[None], use_cache=False, layout=layout
        ).last_hidden_state[0]

    def encode(self, problem: Problem) -> list[int]:
        """Token ids of a problem's prompt, up to where the answer begins."""
        return self.tokenizer.apply_chat_template(
            list(problem.prompt), add_generation_prompt=True, tokenize=True, return_dict=False
        )

    def save(self, folder: Path) -> None:
        """Write a transformers folder: safetensors, config and tokenizer."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """A local tokenizer.json is taken at its word; AutoTokenizer rebuilds every Qwen2 tokenizer by its class."""
    if (Path(path) / "tokenizer.json").exists():
        return PreTrainedTokenizerFast.from_pretrained(path)
    return AutoTokenizer.from_pretrained(path, trust_remote_code=False)


def load_policy(path: str | Path, *, dtype: str = "float32", device: str = "cpu") -> Policy:
    """Load a policy from a local folder or a hub id; "embedded" is the one that ships with rlvr.

    Weights are read as safetensors only, and no code from the folder is ever run.
    """
    path = EMBEDDED if str(path) == "embedded" else path
    try:
        tokenizer = load_tokenizer(path)
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=DTYPES[dtype],
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation=ATTENTION,
        )
    except OSError as error:
        raise UserError(
            f"no policy at {str(path)!r}: give a local folder with config.json, model.safetensors and a "
            f"tokenizer, or, where there is a network, fetch it first with `hf download {path}`"
        ) from error
    return Policy(model.to(device).eval(), tokenizer)
