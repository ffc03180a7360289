"""Attention without padding, for training and for sampling, inside any transformers decoder.

Every linear layer of the model sees a flat row of real tokens [1, T]; only attention needs to know
which token belongs to which sequence. A *layout* knows that, and travels through the model as a keyword
argument to the attention function registered here. Two layouts exist:

- `PackedLayout` for training: the rollouts of a group are a tree of prefixes, and what several of them
  share, the prompt first of all, is in the row once.
- `rlvr.rollout.transformers_engine.DecodingLayout` for sampling: one new token per distinct running rollout.

What this module does not do: sliding windows, and models whose attention does not go through
transformers' attention interface.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from rlvr.policy.prefix_tree import prefix_paths

ATTENTION = "rlvr_layout"
SHORT = 256  # keys up to which a CPU's attention may hold the weight of each
NARROW = 16  # keys below which torch's softmax takes ten times as long on a CPU


class Layout(Protocol):
    def __len__(self) -> int:
        """Tokens of the flat row; a row may be padded at its end."""
        ...

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """Attention output [len(self), H, D]; H query heads share K key-value heads of size D."""
        ...


def attend(
    layout: Layout, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
) -> Tensor:
    """`layout.attend`, whose output is padded where the row is."""
    output_THD = layout.attend(layer, query_THD, key_TKD, value_TKD, scale)
    padding = len(query_THD) - len(layout)
    return pad(output_THD, (0, 0, 0, 0, 0, padding)) if padding else output_THD


def _attend(module, query, key, value, attention_mask, scaling, layout: Layout, **_) -> tuple[Tensor, None]:
    # transformers hands over [1, heads, T, D]
    query_THD, key_TKD, value_TKD = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    return attend(layout, module.layer_idx, query_THD, key_TKD, value_TKD, scaling)[None], None


AttentionInterface.register(ATTENTION, _attend)


class PackedLayout:
    """Groups packed into one row: all prompts, then every distinct prefix of their completions once.

    Rollouts that agree up to a token have one hidden state there, so it is computed once. The last token of
    a completion is predicted but never read, so it is not in the row at all.

    N is the number of distinct prefixes, each of them a token to predict from those before it; M is the
    number of completion tokens of all rollouts, at least N.

    Attributes:
        tokens_T, positions_T: int64, the flat row and each token's position in its own sequence.
        predictor_N: int64, the place in the row whose hidden state predicts the last token of a prefix.
        targets_N: int64, those last tokens.
        prefix_M: int64, the prefix that each completion token ends, rollout after rollout.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[Sequence[int]]],
        device: torch.device | str = "cpu",
    ):
        """`prompts[g]` are the token ids of group g's prompt, `completions[g]` those of its rollouts."""

        def tensor(values: Iterable[int]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.int64, device=device)

        paths: list[list[int]] = []
        count = 0
        for answers in completions:
            own_paths, count = prefix_paths(answers, count)
            paths += own_paths
        rollouts = [answer for answers in completions for answer in answers]
        group_R = tensor(group for group, answers in enumerate(completions) for _ in answers)
        rollout_M, column_M = rows_and_columns(tensor(map(len, rollouts)))
        self.prefix_M = tensor(chain.from_iterable(paths))
        self.targets_N = tensor([0] * count)
        self.targets_N[self.prefix_M] = tensor(chain.from_iterable(rollouts))
        depth_N = torch.zeros_like(self.targets_N)
        depth_N[self.prefix_M] = column_M
        forerunner_N = torch.full_like(self.targets_N, -1)
        later = column_M.nonzero()[:, 0]
        forerunner_N[self.prefix_M[later]] = self.prefix_M[later - 1]
        # of the rollouts that share a prefix the first one stands for all, there and in what follows
        owner_N = torch.full_like(self.targets_N, len(rollouts))
        owner_N.scatter_reduce_(0, self.prefix_M, rollout_M, "amin")
        group_N = group_R[owner_N]

        prompt_lengths_G = tensor(map(len, prompts))
        prompt_row_T, prompt_column_T = rows_and_columns(prompt_lengths_G)
        read_N = torch.zeros_like(self.targets_N, dtype=torch.bool)
        read_N[forerunner_N[forerunner_N >= 0]] = True
        place_N = len(prompt_row_T) + read_N.cumsum(0) - 1  # in the row, of prefixes that are read
        prompt_end_G = prompt_lengths_G.cumsum(0) - 1
        self.predictor_N = torch.where(forerunner_N >= 0, place_N[forerunner_N], prompt_end_G[group_N])
        self.tokens_T = torch.cat([tensor(chain.from_iterable(prompts)), self.targets_N[read_N]])
        self.positions_T = torch.cat([prompt_column_T, (prompt_lengths_G[group_N] + depth_N)[read_N]])

        # attention pads: a block of prompts, and a block of those rollouts that own a token of the row
        self.prompt_GP = _block(prompt_row_T, prompt_column_T, torch.arange(len(prompt_row_T), device=device))
        of_prompt_T = prompt_row_T * self.prompt_GP.shape[1] + prompt_column_T
        read_M = read_N[self.prefix_M]
        owned_M = read_M & (owner_N[self.prefix_M] == rollout_M)
        is_owner_R = torch.zeros_like(group_R, dtype=torch.bool)
        is_owner_R[rollout_M[owned_M]] = True
        row_R = is_owner_R.cumsum(0) - 1
        on_path_M = read_M & is_owner_R[rollout_M]
        row_P, column_P = row_R[rollout_M[on_path_M]], column_M[on_path_M]
        path_RW = _block(row_P, column_P, place_N[self.prefix_M[on_path_M]])
        width = path_RW.shape[1]
        owned_N = torch.zeros_like(self.targets_N)
        owned_N[self.prefix_M[owned_M]] = row_R[rollout_M[owned_M]] * width + column_M[owned_M]
        of_path_T = owned_N[read_N]

        group_of_row_R = group_R[is_owner_R]
        prompt_columns_P = torch.arange(self.prompt_GP.shape[1], device=device)
        prompt_seen_RP = prompt_columns_P < prompt_lengths_G[group_of_row_R][:, None]
        seen_R1WS = torch.cat(
            [
                prompt_seen_RP[:, None, None, :].expand(-1, 1, width, -1),
                _causal(width, device).expand(len(group_of_row_R), 1, -1, -1),
            ],
            dim=-1,
        )
        # causal is enough for prompts: the padding is on the right, where no real token looks
        self._blocks = [Block(self.prompt_GP, self.prompt_GP, of_prompt_T, None)]
        if len(of_path_T):
            keys_RS = torch.cat([self.prompt_GP[group_of_row_R], path_RW], dim=1)
            self._blocks.append(Block(path_RW, keys_RS, of_path_T, seen_R1WS))
        self._blocks_of_heads: list[BlockOfHeads] = []

    def __len__(self) -> int:
        return len(self.tokens_T)

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        if query_THD.is_cpu and all(block.keys_RS.shape[1] <= SHORT for block in self._blocks):
            if not self._blocks_of_heads:
                heads = query_THD.shape[1], key_TKD.shape[1]
                self._blocks_of_heads = [block.of_heads(*heads) for block in self._blocks]
            return _ShortAttention.apply(query_THD, key_TKD, value_TKD, scale, self._blocks_of_heads)
        outputs = []
        for block in self._blocks:
            key_RKSD, value_RKSD = take(key_TKD, block.keys_RS), take(value_TKD, block.keys_RS)
            seen = {"is_causal": True} if block.seen_R1WS is None else {"attn_mask": block.seen_R1WS}
            output_RHWD = scaled_dot_product_attention(
                take(query_THD, block.queries_RW), key_RKSD, value_RKSD, scale=scale, enable_gqa=True, **seen
            )
            outputs.append(output_RHWD.transpose(1, 2).flatten(0, 1).index_select(0, block.outputs_T))
        return torch.cat(outputs)


class Block(NamedTuple):
    """R rows of W queries each, which read S keys; padding computes something that is not taken.

    Attributes:
        queries_RW, keys_RS: int64, places in the flat row.
        outputs_T: int64, of each token that these rows are for its place in [R x W], in the row's order.
        seen_R1WS: bool, whether a query sees a key, or None for causal attention.
    """

    queries_RW: Tensor
    keys_RS: Tensor
    outputs_T: Tensor
    seen_R1WS: Tensor | None

    def of_heads(self, heads: int, kv_heads: int) -> "BlockOfHeads":
        width, device = self.queries_RW.shape[1], self.queries_RW.device
        head_H, head_K = torch.arange(heads, device=device), torch.arange(kv_heads, device=device)
        row_T, column_T = self.outputs_T // width, self.outputs_T % width
        seen_R1WS = _causal(width, device)[None, None] if self.seen_R1WS is None else self.seen_R1WS
        return BlockOfHeads(
            (self.queries_RW[:, None] * heads + head_H[:, None]).unflatten(1, (kv_heads, -1)).flatten(2),
            widened(self.keys_RS)[:, None] * kv_heads + head_K[:, None],
            (row_T[:, None] * heads + head_H) * width + column_T[:, None],
            ~widened(seen_R1WS)[:, :, None],
        )


class BlockOfHeads(NamedTuple):
    """A block as places of single heads: in [T x H] and [T x K], and of outputs in [R x K x Q].

    The G query heads that share a key-value head are the queries of that head, Q = G x W of them.
    """

    queries_RKQ: Tensor
    keys_RKS: Tensor
    outputs_TH: Tensor
    unseen_R11WS: Tensor

    def gather(self, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (
            _heads_at(self.queries_RKQ, query_THD.to(value_TKD.dtype)),
            _heads_at(self.keys_RKS, key_TKD.to(value_TKD.dtype)),
            _heads_at(self.keys_RKS, value_TKD),
        )


def widened(values_XS: Tensor) -> Tensor:
    """The same with zeros at its end, if there are so few keys that their softmax would be slow."""
    return pad(values_XS, (0, max(0, NARROW - values_XS.shape[-1])))


def _heads_at(places: Tensor, tensor_XD: Tensor) -> Tensor:
    return rows_at(places, tensor_XD.flatten(0, -2))


def _add_heads_at(places: Tensor, tensor_XD: Tensor, added: Tensor) -> None:
    tensor_XD.flatten(0, -2).index_add_(0, places.flatten(), added.flatten(0, -2))


class _ShortAttention(torch.autograd.Function):
    """Attention as products and a softmax in float32, from a flat row and back.

    On a CPU it takes half the time of torch's fused kernel where sequences are short, its backward most of
    all: a fifth of it in bfloat16. It keeps each query's share of each key; what it gathers it gathers again.
    """

    @staticmethod
    def forward(
        ctx,
        query_THD: Tensor,
        key_TKD: Tensor,
        value_TKD: Tensor,
        scale: float,
        blocks: list[BlockOfHeads],
    ) -> Tensor:
        outputs, shares = [], []
        for block in blocks:
            query_RKQD, key_RKSD, value_RKSD = block.gather(query_THD, key_TKD, value_TKD)
            scores_RKQS = (query_RKQD @ key_RKSD.mT).mul_(scale)
            width = block.unseen_R11WS.shape[3]
            scores_RKQS.unflatten(2, (-1, width)).masked_fill_(block.unseen_R11WS, -torch.inf)
            shares.append(scores_RKQS.softmax(-1, dtype=torch.float32).to(value_TKD.dtype))
            outputs.append(_heads_at(block.outputs_TH, shares[-1] @ value_RKSD))
        ctx.scale, ctx.blocks = scale, blocks
        ctx.save_for_backward(query_THD, key_TKD, value_TKD, *shares)
        return torch.cat(outputs)

    @staticmethod
    def backward(ctx, gradient_THD: Tensor):
        query_THD, key_TKD, value_TKD, *shares = ctx.saved_tensors
        of_query, of_key, of_value = (torch.zeros_like(row) for row in (query_THD, key_TKD, value_TKD))
        tokens = [len(block.outputs_TH) for block in ctx.blocks]
        gradients, of_queries = gradient_THD.split(tokens), of_query[: sum(tokens)].split(tokens)
        for block, shares_RKQS, of_output_THD, of_query_THD in zip(
            ctx.blocks, shares, gradients, of_queries, strict=True
        ):
            query_RKQD, key_RKSD, value_RKSD = block.gather(query_THD, key_TKD, value_TKD)
            gradient_RKQD = torch.zeros_like(query_RKQD)
            gradient_RKQD.flatten(0, 2).index_copy_(
                0, block.outputs_TH.flatten(), of_output_THD.flatten(0, 1)
            )
            _add_heads_at(block.keys_RKS, of_value, shares_RKQS.mT @ gradient_RKQD)
            of_shares_RKQS = gradient_RKQD @ value_RKSD.mT
            of_scores_RKQS = torch._softmax_backward_data(of_shares_RKQS, shares_RKQS, -1, shares_RKQS.dtype)
            of_scores_RKQS.mul_(ctx.scale)
            of_query_THD.copy_(_heads_at(block.outputs_TH, of_scores_RKQS @ key_RKSD))
            _add_heads_at(block.keys_RKS, of_key, of_scores_RKQS.mT @ query_RKQD)
        return of_query, of_key, of_value, None, None


def _causal(width: int, device: torch.device | str) -> Tensor:
    return torch.ones(width, width, dtype=torch.bool, device=device).tril()


def rows_and_columns(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Of the tokens of sequences that stand one after the other: which sequence, and where in it."""
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    return rows, torch.arange(len(rows), device=lengths.device) - (lengths.cumsum(0) - lengths)[rows]


def _block(rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """[rows, columns] with `values` at the given places and 0 elsewhere."""
    count, width = (int(places.max()) + 1 if len(places) else 0 for places in (rows, columns))
    return values.new_zeros(count, width).index_put_((rows, columns), values)


def rows_at(places: Tensor, rows_NX: Tensor) -> Tensor:
    """[*places, X]; X may be several dimensions."""
    return rows_NX.index_select(0, places.flatten()).view(*places.shape, *rows_NX.shape[1:])


def take(tensor_TXD: Tensor, places_RW: Tensor) -> Tensor:
    """[rows, heads, columns, D] of a flat row."""
    return rows_at(places_RW, tensor_TXD).transpose(1, 2)
