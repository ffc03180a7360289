"""Attention without padding, for training and for sampling, inside any transformers decoder.

Every linear layer of the model sees a flat row of real tokens [1, T]; only attention needs to know
which token belongs to which sequence. A *layout* knows that, and travels through the model as a keyword
argument to the attention function registered here. Two layouts exist:

- `PackedLayout` for training: the prompt of a group is in the row once, followed by its completions,
  which attend to it (a tree of depth one).
- `rlvr.rollout.transformers_engine.DecodingLayout` for sampling: one new token per running rollout.

What this module does not do: sliding windows, and models whose attention does not go through
transformers' attention interface.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

ATTENTION = "rlvr_layout"


class Layout(Protocol):
    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """Attention output [T, H, D]; H query heads share K key-value heads of size D."""
        ...


def _attend(module, query, key, value, attention_mask, scaling, layout: Layout, **_) -> tuple[Tensor, None]:
    # transformers hands over [1, heads, T, D]
    query_THD, key_TKD, value_TKD = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    return layout.attend(module.layer_idx, query_THD, key_TKD, value_TKD, scaling)[None], None


AttentionInterface.register(ATTENTION, _attend)


class _Scatter(torch.autograd.Function):
    """Rows of `source` placed at unique positions among zeros; its gradient is the plain gather."""

    @staticmethod
    def forward(ctx, source: Tensor, positions: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(positions)
        return source.new_zeros(size, *source.shape[1:]).index_copy_(0, positions, source)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (positions,) = ctx.saved_tensors
        return gradient.index_select(0, positions), None, None


class _Gather(torch.autograd.Function):
    """Rows of `source` at unique positions; its gradient is the plain scatter, not an accumulation."""

    @staticmethod
    def forward(ctx, source: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.size = source.shape[0]
        return source.index_select(0, positions)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (positions,) = ctx.saved_tensors
        size = (ctx.size, *gradient.shape[1:])
        return gradient.new_zeros(size).index_copy_(0, positions, gradient), None


@dataclass(slots=True)
class _Rows:
    """Sequences of a flat token row, laid out as the rows of a padded block [rows, width]."""

    flat: Tensor  # [tokens] positions in the flat row
    padded: Tensor  # [tokens] positions in the flattened block
    count: int
    width: int

    def pad(self, tensor_TXD: Tensor) -> Tensor:
        """[T, heads, D] -> [rows, width, heads, D], zeros where there is no token."""
        taken = _Gather.apply(tensor_TXD, self.flat)
        block = _Scatter.apply(taken, self.padded, self.count * self.width)
        return block.view(self.count, self.width, *tensor_TXD.shape[1:])

    def unpad(self, block_RWXD: Tensor) -> Tensor:
        """[rows, width, heads, D] -> [tokens, heads, D]."""
        return _Gather.apply(block_RWXD.reshape(self.count * self.width, *block_RWXD.shape[2:]), self.padded)


def _rows(starts: Tensor, lengths: Tensor) -> _Rows:
    count, width = len(lengths), int(lengths.max()) if len(lengths) else 0
    row = torch.repeat_interleave(torch.arange(count, device=lengths.device), lengths)
    column = torch.arange(len(row), device=lengths.device) - (lengths.cumsum(0) - lengths)[row]
    return _Rows(starts[row] + column, row * width + column, count, width)


class PackedLayout:
    """Groups packed into one row: each prompt once, then its completions without their last tokens.

    The last token of a completion is predicted but never read, so it is not computed at all.

    Attributes:
        tokens_T, positions_T: int64, the flat row and each token's position in its own sequence.
        predictor_M: int64, for every completion token of all rollouts in order (M tokens in all),
            the place in the row whose hidden state predicts it.
        targets_M: int64, those completion tokens.
        lengths_R: int64, number of completion tokens of each rollout; sums to M.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        completions: Sequence[Sequence[Sequence[int]]],
        device: torch.device | str = "cpu",
    ):
        """`prompts[g]` are the token ids of group g's prompt, `completions[g]` those of its rollouts."""
        row: list[int] = []
        targets: list[int] = []
        prompt_starts, prompt_lengths, starts, lengths, prompt_of_rollout = [], [], [], [], []
        for group, (prompt, answers) in enumerate(zip(prompts, completions, strict=True)):
            prompt_starts.append(len(row))
            prompt_lengths.append(len(prompt))
            row.extend(prompt)
            for answer in answers:
                starts.append(len(row))
                lengths.append(len(answer))
                prompt_of_rollout.append(group)
                row.extend(answer[:-1])
                targets.extend(answer)

        def tensor(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64, device=device)

        self.tokens_T, self.targets_M = tensor(row), tensor(targets)
        prompt_starts_G, prompt_lengths_G = tensor(prompt_starts), tensor(prompt_lengths)
        starts_R, self.lengths_R = tensor(starts), tensor(lengths)
        self._prompt_of_rollout_R = tensor(prompt_of_rollout)
        # a rollout reads all its tokens but the last
        self._prompts = _rows(prompt_starts_G, prompt_lengths_G)
        self._completions = _rows(starts_R, self.lengths_R - 1)

        own_prompt_length_R = prompt_lengths_G[self._prompt_of_rollout_R]
        prompt_columns = self._prompts.padded % max(self._prompts.width, 1)
        completion_columns = self._completions.padded % max(self._completions.width, 1)
        completion_rows = self._completions.padded // max(self._completions.width, 1)
        self.positions_T = torch.empty_like(self.tokens_T)
        self.positions_T[self._prompts.flat] = prompt_columns
        self.positions_T[self._completions.flat] = own_prompt_length_R[completion_rows] + completion_columns
        # where each token of the row stands after attention: prompts first, then completions
        order = torch.cat([self._prompts.flat, self._completions.flat])
        self._unsort_T = torch.empty_like(order)
        self._unsort_T[order] = torch.arange(len(order), device=order.device)

        # the first completion token is predicted by the prompt's last, each later one by its forerunner
        rollout_M = torch.repeat_interleave(torch.arange(len(lengths), device=device), self.lengths_R)
        column_M = (
            torch.arange(len(targets), device=device) - (self.lengths_R.cumsum(0) - self.lengths_R)[rollout_M]
        )
        prompt_end_R = (prompt_starts_G + prompt_lengths_G - 1)[self._prompt_of_rollout_R]
        self.predictor_M = torch.where(
            column_M == 0, prompt_end_R[rollout_M], starts_R[rollout_M] + column_M - 1
        )

        width, prompt_width = self._completions.width, self._prompts.width
        own = torch.ones(width, width, dtype=torch.bool, device=device).tril()
        prompt_seen_RW = torch.arange(prompt_width, device=device) < own_prompt_length_R[:, None]
        self._mask_R1QS = torch.cat(
            [
                prompt_seen_RW[:, None, None, :].expand(-1, 1, width, -1),
                own.expand(len(lengths), 1, -1, -1),
            ],
            dim=-1,
        )

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        def heads_first(block: Tensor) -> Tensor:
            return block.transpose(1, 2)

        prompts, completions = self._prompts, self._completions
        prompt_key, prompt_value = prompts.pad(key_TKD), prompts.pad(value_TKD)
        # causal is enough for prompts: the padding is on the right, where no real token looks
        prompt_output = scaled_dot_product_attention(
            *map(heads_first, (prompts.pad(query_THD), prompt_key, prompt_value)),
            is_causal=True,
            scale=scale,
            enable_gqa=True,
        )
        outputs = [prompts.unpad(heads_first(prompt_output))]
        if completions.width:
            key = torch.cat([prompt_key[self._prompt_of_rollout_R], completions.pad(key_TKD)], dim=1)
            value = torch.cat([prompt_value[self._prompt_of_rollout_R], completions.pad(value_TKD)], dim=1)
            output = scaled_dot_product_attention(
                *map(heads_first, (completions.pad(query_THD), key, value)),
                attn_mask=self._mask_R1QS,
                scale=scale,
                enable_gqa=True,
            )
            outputs.append(completions.unpad(heads_first(output)))
        return _Gather.apply(torch.cat(outputs), self._unsort_T)
