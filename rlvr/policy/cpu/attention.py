"""Attention of short sequences on a CPU, as plain products and a softmax from a flat row and back.

It takes half the time of torch's fused kernel where sequences are short, its backward most of all: a fifth of
it in bfloat16.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rlvr.policy.blocks import Block, BlockAttention, rows_at, widened
from rlvr.policy.prefix_tree import PrefixTree

MAX_DENSE_KEYS = 256  # keys up to which the weight of each may be held


class CPUAttention(BlockAttention):
    """A tree's blocks by plain products where all are short, else through torch's fused attention."""

    def __init__(self, tree: PrefixTree):
        super().__init__(tree)
        self.is_short = all(block.keys_RS.shape[1] <= MAX_DENSE_KEYS for block in self.blocks)
        self._head_blocks: list[HeadBlock] = []

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        if not self.is_short:
            return super().attend(layer, query_THD, key_TKD, value_TKD, scale)
        if not self._head_blocks:  # the same for every layer
            heads = query_THD.shape[1], key_TKD.shape[1]
            self._head_blocks = [head_block(block, *heads) for block in self.blocks]
        return _ShortAttention.apply(query_THD, key_TKD, value_TKD, scale, self._head_blocks, len(self))


class HeadBlock(NamedTuple):
    """A block as places of single heads: in [T x H] and [T x K], and of outputs in [R x K x Q].

    The G query heads that share a key-value head are the queries of that head, Q = G x W of them.
    """

    queries_RKQ: Tensor
    keys_RKS: Tensor
    tokens_B: Tensor
    outputs_BH: Tensor
    unseen_R11WS: Tensor

    def gather(self, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (
            _heads_at(self.queries_RKQ, query_THD.to(value_TKD.dtype)),
            _heads_at(self.keys_RKS, key_TKD.to(value_TKD.dtype)),
            _heads_at(self.keys_RKS, value_TKD),
        )


def head_block(block: Block, heads: int, kv_heads: int) -> HeadBlock:
    width = block.queries_RW.shape[1]
    head_H, head_K = torch.arange(heads), torch.arange(kv_heads)
    row_B, column_B = block.outputs_B // width, block.outputs_B % width
    seen_R1WS = block.seen_R1WS
    if seen_R1WS is None:
        seen_R1WS = torch.ones(width, width, dtype=torch.bool).tril()[None, None]
    return HeadBlock(
        (block.queries_RW[:, None] * heads + head_H[:, None]).unflatten(1, (kv_heads, -1)).flatten(2),
        widened(block.keys_RS)[:, None] * kv_heads + head_K[:, None],
        block.tokens_B,
        (row_B[:, None] * heads + head_H) * width + column_B[:, None],
        ~widened(seen_R1WS)[:, :, None],
    )


class _ShortAttention(torch.autograd.Function):
    """Softmax in float32. It keeps each query's weight of each key; what it gathers it gathers again."""

    @staticmethod
    def forward(
        ctx,
        query_THD: Tensor,
        key_TKD: Tensor,
        value_TKD: Tensor,
        scale: float,
        blocks: list[HeadBlock],
        tokens: int,
    ) -> Tensor:
        output_THD = value_TKD.new_empty(tokens, *query_THD.shape[1:])
        weights = []
        for block in blocks:
            query_RKQD, key_RKSD, value_RKSD = block.gather(query_THD, key_TKD, value_TKD)
            scores_RKQS = (query_RKQD @ key_RKSD.mT).mul_(scale)
            # the query heads of one key-value head stand one below the other: the same mask for each
            width = block.unseen_R11WS.shape[3]
            scores_RKQS.unflatten(2, (-1, width)).masked_fill_(block.unseen_R11WS, -torch.inf)
            weights.append(scores_RKQS.softmax(-1, dtype=torch.float32).to(value_TKD.dtype))
            output_THD.index_copy_(0, block.tokens_B, _heads_at(block.outputs_BH, weights[-1] @ value_RKSD))
        ctx.scale, ctx.blocks = scale, blocks
        ctx.save_for_backward(query_THD, key_TKD, value_TKD, *weights)
        return output_THD

    @staticmethod
    def backward(ctx, grad_THD: Tensor):
        query_THD, key_TKD, value_TKD, *weights = ctx.saved_tensors
        grad_query, grad_key, grad_value = (torch.zeros_like(row) for row in (query_THD, key_TKD, value_TKD))
        for block, weights_RKQS in zip(ctx.blocks, weights, strict=True):
            query_RKQD, key_RKSD, value_RKSD = block.gather(query_THD, key_TKD, value_TKD)
            # queries that are padding, or whose output another row gives, have no gradient
            grad_RKQD = torch.zeros_like(query_RKQD)
            grad_BHD = grad_THD.index_select(0, block.tokens_B)
            grad_RKQD.flatten(0, 2).index_copy_(0, block.outputs_BH.flatten(), grad_BHD.flatten(0, 1))
            _add_heads_at(block.keys_RKS, grad_value, weights_RKQS.mT @ grad_RKQD)
            grad_weights_RKQS = grad_RKQD @ value_RKSD.mT
            grad_scores_RKQS = torch._softmax_backward_data(
                grad_weights_RKQS, weights_RKQS, -1, weights_RKQS.dtype
            ).mul_(ctx.scale)
            grad_query_BHD = _heads_at(block.outputs_BH, grad_scores_RKQS @ key_RKSD)
            grad_query.index_copy_(0, block.tokens_B, grad_query_BHD.to(grad_query.dtype))
            _add_heads_at(block.keys_RKS, grad_key, grad_scores_RKQS.mT @ query_RKQD)
        return grad_query, grad_key, grad_value, None, None, None


def _heads_at(places: Tensor, tensor_XD: Tensor) -> Tensor:
    return rows_at(places, tensor_XD.flatten(0, -2))


def _add_heads_at(places: Tensor, tensor_XD: Tensor, added: Tensor) -> None:
    tensor_XD.flatten(0, -2).index_add_(0, places.flatten(), added.flatten(0, -2).to(tensor_XD.dtype))
