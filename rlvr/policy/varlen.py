"""A prefix tree as sequences of any length without padding: attention by FlashAttention's varlen kernel.

Each prompt is a sequence of its own; each rollout that brings tokens into the row has its tokens for queries,
and the prompt's and its own for keys. The causal mask is aligned at the ends of both, so a rollout's first
token sees the whole prompt; no other mask is needed.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from rlvr.policy.blocks import own_tokens, rows_and_columns
from rlvr.policy.prefix_tree import PrefixTree


class Sequences(NamedTuple):
    """S sequences, one after the other: Q queries and K keys in all.

    Attributes:
        queries_Q, keys_K: int64, places in the row of T tokens.
        query_starts, key_starts: int32 [S + 1], where each sequence begins; the last entry is the end.
        most_queries, most_keys: of a sequence.
        outputs_T: int64, which query each token's output is of.
    """

    queries_Q: Tensor
    keys_K: Tensor
    query_starts: Tensor
    key_starts: Tensor
    most_queries: int
    most_keys: int
    outputs_T: Tensor


def sequences(tree: PrefixTree) -> Sequences:
    """Of a tree with at least one prompt."""
    group_P, column_P = rows_and_columns(tree.prompt_lengths_G)
    start_G = (tree.positions_T == 0).nonzero()[:, 0]
    prompt_P = start_G[group_P] + column_P
    own = own_tokens(tree)
    row_X, place_X = own.row_X, own.place_X
    lengths_R = torch.bincount(row_X, minlength=len(own.group_R))
    prompt_lengths_R = tree.prompt_lengths_G[own.group_R]

    key_row_Y, key_column_Y = rows_and_columns(prompt_lengths_R + lengths_R)
    beyond_Y = key_column_Y - prompt_lengths_R[key_row_Y]  # below 0 in the prompt
    first_own_R = lengths_R.cumsum(0) - lengths_R
    in_prompt_Y = start_G[own.group_R[key_row_Y]] + key_column_Y
    padded_X = place_X if len(place_X) else place_X.new_zeros(1)
    own_Y = padded_X[(first_own_R[key_row_Y] + beyond_Y).clamp(min=0)]

    query_lengths = torch.cat([tree.prompt_lengths_G, lengths_R])
    key_lengths = torch.cat([tree.prompt_lengths_G, prompt_lengths_R + lengths_R])
    outputs_T = torch.empty_like(tree.tokens_T)
    outputs_T[prompt_P] = torch.arange(len(prompt_P), device=prompt_P.device)
    owned = own.is_owned_X.nonzero()[:, 0]
    outputs_T[place_X[owned]] = len(prompt_P) + owned
    return Sequences(
        queries_Q=torch.cat([prompt_P, place_X]),
        keys_K=torch.cat([prompt_P, torch.where(beyond_Y < 0, in_prompt_Y, own_Y)]),
        query_starts=_starts(query_lengths),
        key_starts=_starts(key_lengths),
        most_queries=int(query_lengths.max()),
        most_keys=int(key_lengths.max()),
        outputs_T=outputs_T,
    )


def _starts(lengths: Tensor) -> Tensor:
    return pad(lengths.cumsum(0), (1, 0)).int()


class VarlenAttention:
    """One call of FlashAttention for a whole tree; where there is none, on a CPU, one kernel a sequence."""

    def __init__(self, tree: PrefixTree):
        self.sequences = sequences(tree)
        self.tokens = len(tree)

    def __len__(self) -> int:
        return self.tokens

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        own, dtype = self.sequences, value_TKD.dtype
        query_QHD = query_THD.to(dtype).index_select(0, own.queries_Q)
        key_KKD, value_KKD = (rows.to(dtype).index_select(0, own.keys_K) for rows in (key_TKD, value_TKD))
        kernel = flash if query_QHD.is_cuda else one_by_one
        return kernel(query_QHD, key_KKD, value_KKD, own, scale).index_select(0, own.outputs_T)


def flash(query_QHD: Tensor, key_KKD: Tensor, value_KKD: Tensor, of: Sequences, scale: float) -> Tensor:
    """FlashAttention 2 as it comes with torch; grouped heads as they are, bfloat16 or float16 only."""
    # the operator itself: the wrapper in torch.nn.attention.varlen has had other parameters in every release
    output_QHD, *_ = torch.ops.aten._flash_attention_forward(
        query_QHD,
        key_KKD,
        value_KKD,
        of.query_starts,
        of.key_starts,
        of.most_queries,
        of.most_keys,
        0.0,  # dropout
        True,  # causal, aligned at the end
        False,
        scale=scale,
    )
    return output_QHD


def one_by_one(query_QHD: Tensor, key_KKD: Tensor, value_KKD: Tensor, of: Sequences, scale: float) -> Tensor:
    """What `flash` computes, sequence by sequence, through torch's fused attention."""
    outputs = []
    queries, keys = of.query_starts.tolist(), of.key_starts.tolist()
    for q0, q1, k0, k1 in zip(queries, queries[1:], keys, keys[1:], strict=False):
        seen_WS = torch.ones(q1 - q0, k1 - k0, dtype=torch.bool, device=query_QHD.device)
        seen_WS = seen_WS.tril(diagonal=(k1 - k0) - (q1 - q0))
        rows = (query_QHD[q0:q1], key_KKD[k0:k1], value_KKD[k0:k1])
        output_1HWD = scaled_dot_product_attention(
            *(row.transpose(0, 1)[None] for row in rows), attn_mask=seen_WS, scale=scale, enable_gqa=True
        )
        outputs.append(output_1HWD[0].transpose(0, 1))
    return torch.cat(outputs)
