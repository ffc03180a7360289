"""A prefix tree as padded blocks of sequences: attention by kernels that know no tree.

Two blocks: the prompts, and of the rollouts those that bring tokens of their own into the row. A rollout's
queries are its tokens, its keys the prompt's and then its own; where several rollouts share a token, the
first one's output stands for all.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from rlvr.policy.prefix_tree import PrefixTree

MIN_SOFTMAX_WIDTH = 16  # keys below which torch's softmax takes ten times as long on a CPU


class Block(NamedTuple):
    """R sequences of W queries and S keys, as places in the row of T tokens; padded with place 0.

    Attributes:
        queries_RW, keys_RS: int64, places in the row.
        tokens_B: int64, the places in the row whose output the block gives.
        outputs_B: int64, where in [R x W] each of them is.
        seen_R1WS: bool, which keys a query may see; None where all up to its own column.
    """

    queries_RW: Tensor
    keys_RS: Tensor
    tokens_B: Tensor
    outputs_B: Tensor
    seen_R1WS: Tensor | None


def blocks(tree: PrefixTree) -> list[Block]:
    """The block of prompts, and that of rollouts where any of them has a token in the row."""
    prompt_GP = prompt_places(tree)
    row_B, column_B = rows_and_columns(tree.prompt_lengths_G)
    # causal is enough for prompts: the padding is on the right, where no real token looks
    prompts = Block(
        prompt_GP, prompt_GP, prompt_GP[row_B, column_B], row_B * prompt_GP.shape[1] + column_B, None
    )
    rollouts = _block_of_rollouts(tree, prompt_GP)
    return [prompts] if rollouts is None else [prompts, rollouts]


def prompt_places(tree: PrefixTree) -> Tensor:
    """Places in the row of each group's prompt, int64 [G, P], 0 after its end."""
    group_X, column_X = rows_and_columns(tree.prompt_lengths_G)
    start_G = (tree.positions_T == 0).nonzero()[:, 0]
    return _padded(group_X, column_X, start_G[group_X] + column_X)


def _block_of_rollouts(tree: PrefixTree, prompt_GP: Tensor) -> Block | None:
    # what predicts a rollout's second token and those after it are its own tokens
    rollout_M, column_M = rows_and_columns(tree.lengths_R)
    own_M = column_M > 0
    rollout_X, column_X = rollout_M[own_M], column_M[own_M] - 1
    place_X = tree.predictor_N[tree.prefix_M[own_M]]
    if not len(place_X):
        return None
    # of the rollouts that share a token the first one stands for all, there and in what follows
    owner_T = torch.full_like(tree.tokens_T, len(tree.lengths_R))
    owner_T.scatter_reduce_(0, place_X, rollout_X, "amin")
    owned_X = owner_T[place_X] == rollout_X
    is_owner_R = torch.zeros_like(tree.lengths_R, dtype=torch.bool)
    is_owner_R[rollout_X[owned_X]] = True
    kept_X = is_owner_R[rollout_X]
    row_X = (is_owner_R.cumsum(0) - 1)[rollout_X]
    path_RW = _padded(row_X[kept_X], column_X[kept_X], place_X[kept_X])
    width = path_RW.shape[1]

    group_T = (tree.positions_T == 0).cumsum(0) - 1
    group_R = group_T[path_RW[:, 0]]
    prompt_columns_P = torch.arange(prompt_GP.shape[1], device=path_RW.device)
    in_prompt_RP = prompt_columns_P < tree.prompt_lengths_G[group_R, None]
    causal_WW = torch.ones(width, width, dtype=torch.bool, device=path_RW.device).tril()
    seen_R1WS = torch.cat(
        [
            in_prompt_RP[:, None, None, :].expand(-1, 1, width, -1),
            causal_WW.expand(len(path_RW), 1, -1, -1),
        ],
        dim=-1,
    )
    return Block(
        queries_RW=path_RW,
        keys_RS=torch.cat([prompt_GP[group_R], path_RW], dim=1),
        tokens_B=place_X[owned_X],
        outputs_B=row_X[owned_X] * width + column_X[owned_X],
        seen_R1WS=seen_R1WS,
    )


class BlockAttention:
    """torch's fused attention over the blocks of a tree: whichever kernel takes a mask and grouped heads."""

    def __init__(self, tree: PrefixTree):
        self.blocks = blocks(tree)
        self.place_T = torch.cat([block.tokens_B for block in self.blocks]).argsort()
        self.tokens = len(tree)

    def __len__(self) -> int:
        return self.tokens

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        outputs = []
        for block in self.blocks:
            key_RKSD, value_RKSD = take(key_TKD, block.keys_RS), take(value_TKD, block.keys_RS)
            seen = {"is_causal": True} if block.seen_R1WS is None else {"attn_mask": block.seen_R1WS}
            output_RHWD = scaled_dot_product_attention(
                take(query_THD, block.queries_RW), key_RKSD, value_RKSD, scale=scale, enable_gqa=True, **seen
            )
            outputs.append(output_RHWD.transpose(1, 2).flatten(0, 1).index_select(0, block.outputs_B))
        return torch.cat(outputs).index_select(0, self.place_T)


def rows_and_columns(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Of the tokens of sequences that stand one after the other: which sequence, and where in it."""
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    return rows, torch.arange(len(rows), device=lengths.device) - (lengths.cumsum(0) - lengths)[rows]


def _padded(rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """[rows, columns] with `values` at the given places and 0 elsewhere."""
    count, width = (int(places.max()) + 1 if len(places) else 0 for places in (rows, columns))
    return values.new_zeros(count, width).index_put_((rows, columns), values)


def widened(values_XS: Tensor) -> Tensor:
    """The same with zeros at its end, if there are so few keys that their softmax would be slow."""
    return pad(values_XS, (0, max(0, MIN_SOFTMAX_WIDTH - values_XS.shape[-1])))


def rows_at(places: Tensor, rows_NX: Tensor) -> Tensor:
    """[*places, X]; X may be several dimensions."""
    return rows_NX.index_select(0, places.flatten()).view(*places.shape, *rows_NX.shape[1:])


def take(tensor_TXD: Tensor, places_RW: Tensor) -> Tensor:
    """[rows, heads, columns, D] of a flat row."""
    return rows_at(places_RW, tensor_TXD).transpose(1, 2)
