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
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from rlvr.policy.prefix_tree import prefix_paths

ATTENTION = "rlvr_layout"
SHORT = 256  # keys up to which a CPU's attention may hold the weight of each


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
        self._of_prompt_T = prompt_row_T * self.prompt_GP.shape[1] + prompt_column_T
        read_M = read_N[self.prefix_M]
        owned_M = read_M & (owner_N[self.prefix_M] == rollout_M)
        is_owner_R = torch.zeros_like(group_R, dtype=torch.bool)
        is_owner_R[rollout_M[owned_M]] = True
        row_R = is_owner_R.cumsum(0) - 1
        on_path_M = read_M & is_owner_R[rollout_M]
        row_P, column_P = row_R[rollout_M[on_path_M]], column_M[on_path_M]
        self._path_RW = _block(row_P, column_P, place_N[self.prefix_M[on_path_M]])
        width = self._path_RW.shape[1]
        owned_N = torch.zeros_like(self.targets_N)
        owned_N[self.prefix_M[owned_M]] = row_R[rollout_M[owned_M]] * width + column_M[owned_M]
        self._of_path_T = owned_N[read_N]

        group_of_row_R = group_R[is_owner_R]
        self._seen_RS = torch.cat([self.prompt_GP[group_of_row_R], self._path_RW], dim=1)
        prompt_columns_P = torch.arange(self.prompt_GP.shape[1], device=device)
        prompt_seen_RP = prompt_columns_P < prompt_lengths_G[group_of_row_R][:, None]
        causal_WW = _causal(width, device)
        rows = len(group_of_row_R)
        self._mask_R1WS = torch.cat(
            [
                prompt_seen_RP[:, None, None, :].expand(-1, 1, width, -1),
                causal_WW.expand(rows, 1, -1, -1),
            ],
            dim=-1,
        )

    def __len__(self) -> int:
        return len(self.tokens_T)

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        def attention_of(queries: Tensor, keys: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
            """From and to places in the row; padding computes something that is not taken."""
            output = attention(
                take(query_THD, queries), take(key_TKD, keys), take(value_TKD, keys), scale, mask
            )
            return output.transpose(1, 2).flatten(0, 1).index_select(0, outputs)

        # causal is enough for prompts: the padding is on the right, where no real token looks
        output = attention_of(self.prompt_GP, self.prompt_GP, self._of_prompt_T, None)
        if not len(self._of_path_T):
            return output
        return torch.cat(
            [output, attention_of(self._path_RW, self._seen_RS, self._of_path_T, self._mask_R1WS)]
        )


def attention(
    query_RHWD: Tensor, key_RKSD: Tensor, value_RKSD: Tensor, scale: float, mask_R1WS: Tensor | None
) -> Tensor:
    """Output [R, H, W, D]; `mask_R1WS` is true where a query sees a key, None for causal attention.

    On a CPU products and a softmax take half the time of torch's fused kernel where sequences are short, its
    backward most of all: a fifth of it in bfloat16. They hold [queries, keys], so long ones are left to it.
    """
    if query_RHWD.is_cpu and key_RKSD.shape[2] <= SHORT:
        heads, width = key_RKSD.shape[1], query_RHWD.shape[2]
        query_RKQD = (query_RHWD * scale).unflatten(1, (heads, -1)).flatten(2, 3)
        scores_RKGWS = (query_RKQD @ key_RKSD.transpose(-1, -2)).unflatten(2, (-1, width))
        seen = _causal(width, query_RHWD.device) if mask_R1WS is None else mask_R1WS[:, :, None]
        output_RKQD = _Shares.apply(scores_RKGWS, seen).flatten(2, 3) @ value_RKSD
        return output_RKQD.unflatten(2, (-1, width)).flatten(1, 2)
    mask = {"is_causal": True} if mask_R1WS is None else {"attn_mask": mask_R1WS}
    return scaled_dot_product_attention(
        query_RHWD, key_RKSD, value_RKSD, scale=scale, enable_gqa=True, **mask
    )


class _Shares(torch.autograd.Function):
    """Softmax of the scores that are seen, in float32; kept, as it comes, in the scores' own precision."""

    @staticmethod
    def forward(ctx, scores_XS: Tensor, seen_XS: Tensor) -> Tensor:
        shares_XS = scores_XS.masked_fill(~seen_XS, -torch.inf).softmax(-1, dtype=torch.float32)
        shares_XS = shares_XS.to(scores_XS.dtype)
        ctx.save_for_backward(shares_XS)
        return shares_XS

    @staticmethod
    def backward(ctx, gradient_XS: Tensor) -> tuple[Tensor, None]:
        (shares_XS,) = ctx.saved_tensors
        return torch._softmax_backward_data(gradient_XS, shares_XS, -1, shares_XS.dtype), None


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


def take(tensor_TXD: Tensor, places_RW: Tensor) -> Tensor:
    """[rows, heads, columns, D] of a flat row."""
    return tensor_TXD.index_select(0, places_RW.flatten()).unflatten(0, places_RW.shape).transpose(1, 2)
