"""A policy tried out when it is loaded: its completions can end, and the model computes.

Any architecture of transformers can be named. One whose attention rlvr does not replace, or that keeps a
state of its own, would let one rollout see another; one that works on the logits of its head has others than
rlvr takes. Both are found here, by their numbers.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rlvr.errors import UserError
from rlvr.policy.attention import DenseAttention
from rlvr.policy.model_files import reason
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.weights import ODD_CONFIG

if TYPE_CHECKING:
    from rlvr.policy.policy import Policy

LEAK = 0.1  # of the logits' spread; float error of a row is far below it, and what a leak adds far above


def check_tokens(policy: "Policy", path: str) -> None:
    """Raise UserError where a completion of the policy could not be told to have ended."""
    tokenizer, vocabulary = policy.tokenizer, len(policy.model.get_input_embeddings().weight)
    if len(tokenizer) == len(tokenizer.get_added_vocab()):
        raise UserError(f"the tokenizer at {path} has special tokens only: fetch its tokenizer.json")
    if outside := [token for token in policy.end_ids if not 0 <= token < vocabulary]:
        raise UserError(
            f"the model at {path} ends at token {outside[0]}, and has {vocabulary} tokens: correct "
            "eos_token_id in generation_config.json, or eos_token in tokenizer_config.json"
        )
    if not policy.end_ids and not policy.stop_strings:
        raise UserError(
            f"the model at {path} names no token that ends a completion: name it with model.end_tokens=, or "
            "as eos_token in tokenizer_config.json"
        )


@torch.no_grad()
def check_model(policy: "Policy", path: str) -> None:
    """Raise UserError for a model that computes no numbers, in which two prompts side by side meet, or whose
    logits are not those of its head.
    """
    prompts = [[3, 1, 2], [2, 3]]
    kind = policy.model.config.model_type
    try:
        (beside, _), (alone, own) = (logits_after(policy, row) for row in (prompts, prompts[1:]))
    except ODD_CONFIG as error:
        raise UserError(
            f"the model at {path} does not run ({reason(error)}): correct its config.json. Accepted are "
            f"decoders like those of Qwen2, Qwen3 and Llama, and this one is a {kind}"
        ) from error
    if not alone.isfinite().all():
        raise UserError(
            f"the model at {path} computes NaN or infinity: fetch it again, or correct its config.json"
        )
    if (beside - alone).abs().max() > LEAK * alone.std():
        raise UserError(
            f"the model at {path}, a {kind}, does not keep two texts in one row "
            "apart: accepted are decoders whose attention goes through transformers' attention interface and "
            "takes positions as they are given, such as Qwen2, Qwen3 and Llama"
        )
    if (own - alone).abs().max() > LEAK * own.std():
        raise UserError(
            f"the model at {path}, a {kind}, scales or caps the logits of its head, which rlvr does not: "
            "accepted are decoders that leave them as they are, such as Qwen2, Qwen3 and Llama"
        )


def logits_after(policy: "Policy", prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Float32 logits of the token after the last prompt, all prompts in one row: as rlvr takes them, and as
    the model gives them.
    """
    vocabulary = len(policy.model.get_input_embeddings().weight)
    tokens = [[token % vocabulary for token in prompt] for prompt in prompts]
    tree = PrefixTree.build(tokens, [[] for _ in tokens], policy.device)
    layout = DenseAttention(tree)
    hidden_TE = policy.hidden(tree.tokens_T, tree.positions_T, layout)
    row = {"input_ids": tree.tokens_T[None], "position_ids": tree.positions_T[None]}
    own_1TV = policy.model(**row, use_cache=False, layout=layout).logits
    return policy.logits(hidden_TE[-1:]).float()[0], own_1TV[0, -1].float()
