"""A prefix tree as padded blocks of sequences: attention by kernels that know no tree.

Two blocks: the prompts, and of the rollouts those that bring tokens of their own into the row. A rollout's
queries are its tokens, its keys the prompt's and then its own; where several rollouts share a token, the
first one's output stands for all.
"""

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad, scaled_dot_product_attention

from rlvr.errors import UserError
from rlvr.policy.prefix_tree import PrefixTree

MAX_MATH_KEYS = 2048  # keys beyond which all scores are not to be held on a GPU
FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
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


class OwnTokens(NamedTuple):
    """Rollouts that bring tokens of their own into the row: X tokens of R rollouts, one after the other.

    Attributes:
        row_X, column_X: which of the rollouts, and where in what it has in the row.
        place_X: the place in the row.
        is_owned_X: bool, whether the token is this rollout's; of several that share one, the first one's.
        group_R: whose prompt each rollout follows.
    """

    row_X: Tensor
    column_X: Tensor
    place_X: Tensor
    is_owned_X: Tensor
    group_R: Tensor


def own_tokens(tree: PrefixTree) -> OwnTokens:
    """What predicts a rollout's second token and those after it are its own tokens."""
    rollout_M, column_M = rows_and_columns(tree.lengths_R)
    own_M = column_M > 0
    rollout_X, column_X = rollout_M[own_M], column_M[own_M] - 1
    place_X = tree.predictor_N[tree.prefix_M[own_M]]
    # of the rollouts that share a token the first one stands for all, there and in what follows
    owner_T = torch.full_like(tree.tokens_T, len(tree.lengths_R))
    owner_T.scatter_reduce_(0, place_X, rollout_X, "amin")
    owned_X = owner_T[place_X] == rollout_X
    is_owner_R = torch.zeros_like(tree.lengths_R, dtype=torch.bool)
    is_owner_R[rollout_X[owned_X]] = True
    kept_X = is_owner_R[rollout_X]
    group_T = (tree.positions_T == 0).cumsum(0) - 1
    return OwnTokens(
        row_X=(is_owner_R.cumsum(0) - 1)[rollout_X[kept_X]],
        column_X=column_X[kept_X],
        place_X=place_X[kept_X],
        is_owned_X=owned_X[kept_X],
        group_R=group_T[place_X[kept_X & (column_X == 0)]],
    )


def _block_of_rollouts(tree: PrefixTree, prompt_GP: Tensor) -> Block | None:
    row_X, column_X, place_X, owned_X, group_R = own_tokens(tree)
    if not len(place_X):
        return None
    path_RW = _padded(row_X, column_X, place_X)
    width = path_RW.shape[1]

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

    repeats_heads = False

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
            query_RHWD = take(query_THD, block.queries_RW)
            key_RKSD, value_RKSD = take(key_TKD, block.keys_RS), take(value_TKD, block.keys_RS)
            seen = {"is_causal": True} if block.seen_R1WS is None else {"attn_mask": block.seen_R1WS}
            if self.repeats_heads:
                each = query_THD.shape[1] // key_TKD.shape[1]
                key_RKSD, value_RKSD = (
                    rows.repeat_interleave(each, dim=1) for rows in (key_RKSD, value_RKSD)
                )
            is_long = key_RKSD.is_cuda and key_RKSD.shape[-2] > MAX_MATH_KEYS
            fused = without_math if is_long else scaled_dot_product_attention
            output_RHWD = fused(
                query_RHWD, key_RKSD, value_RKSD, scale=scale, enable_gqa=not self.repeats_heads, **seen
            )
            outputs.append(output_RHWD.transpose(1, 2).flatten(0, 1).index_select(0, block.outputs_B))
        return torch.cat(outputs).index_select(0, self.place_T)


class EfficientAttention(BlockAttention):
    """The same with a key and a value for every query head: what the memory-efficient kernel asks for.

    That kernel is on every GPU, in float32 too.
    """

    repeats_heads = True


def without_math(*rows: Tensor, **settings: Any) -> Tensor:
    """torch's fused attention; UserError where only the kernel that holds all scores would take it."""
    try:
        with sdpa_kernel(FUSED):
            return scaled_dot_product_attention(*rows, **settings)
    except RuntimeError as error:
        if not re.search("No (available kernel|viable backend)", str(error)):
            raise
        raise UserError(
            f"attention over {rows[1].shape[-2]:,} keys: torch {torch.__version__} has no fused kernel here "
            f"for {rows[2].dtype} with a mask, and the plain one would hold all scores; try "
            "training.attention=auto, which takes one that has, or training.attention=flex"
        ) from error


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
