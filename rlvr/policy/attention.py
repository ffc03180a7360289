"""Attention over a flat row of tokens without padding, inside any transformers decoder.

Every linear layer of the model sees one row of real tokens [1, T]; only attention needs to know which token
sees which. A *layout* knows that, and travels through the model as a keyword argument to the attention
function registered here. For training it is a prefix tree with one of the `ATTENTIONS`, which say the same:

- `blocks`: padded blocks of sequences through torch's fused attention (`rlvr.policy.blocks`)
- `flex`: flex_attention with the tree's mask; nothing is padded or copied, whatever the lengths
- `dense`: the whole mask, [T, T]; the reference that the others are tested against

A CPU has one of its own (`rlvr.policy.cpu.attention`). For sampling the layout is that of
`rlvr.rollout.transformers_engine`: one new token per distinct running rollout.

What this module does not do: sliding windows, and models whose attention does not go through transformers'
attention interface.
"""

from collections.abc import Callable
from functools import cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from rlvr.policy.blocks import BlockAttention
from rlvr.policy.prefix_tree import PrefixTree

ATTENTION = "rlvr_layout"


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


def sees(tree: PrefixTree) -> Callable[..., Tensor]:
    """Whether a query may see a key, as flex_attention asks: those before it whose subtree it is in."""
    subtree_end_T = tree.subtree_end_T
    return lambda batch, head, query, key: (key <= query) & (query < subtree_end_T[key])


def dense_mask(tree: PrefixTree) -> Tensor:
    """The whole of `sees`, bool [T, T], queries first."""
    places_T = torch.arange(len(tree), device=tree.tokens_T.device)
    return sees(tree)(None, None, places_T[:, None], places_T[None, :])


class DenseAttention:
    """Every query against every key, under the whole mask."""

    def __init__(self, tree: PrefixTree):
        self.mask_TT = dense_mask(tree)

    def __len__(self) -> int:
        return len(self.mask_TT)

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        query_HTD, key_KTD, value_KTD = (
            row[: len(self)].transpose(0, 1)[None] for row in (query_THD, key_TKD, value_TKD)
        )
        output_1HTD = scaled_dot_product_attention(
            query_HTD, key_KTD, value_KTD, attn_mask=self.mask_TT, scale=scale, enable_gqa=True
        )
        return output_1HTD[0].transpose(0, 1)


class FlexAttention:
    """flex_attention: blocks of the mask that nobody sees are skipped, the others never held."""

    def __init__(self, tree: PrefixTree):
        self.tokens = len(tree)
        device = tree.tokens_T.device
        self.mask = create_block_mask(sees(tree), None, None, self.tokens, self.tokens, device=device.type)

    def __len__(self) -> int:
        return self.tokens

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        rows = (row[: self.tokens].transpose(0, 1)[None] for row in (query_THD, key_TKD, value_TKD))
        output_1HTD = _flex(query_THD.is_cuda)(*rows, block_mask=self.mask, scale=scale, enable_gqa=True)
        return output_1HTD[0].transpose(0, 1)


@cache
def _flex(compiled: bool) -> Callable[..., Tensor]:
    # without compilation it holds all scores, which is what tests on a CPU do; every tree has another length
    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


TreeAttention = Callable[[PrefixTree], Layout]
ATTENTIONS: dict[str, TreeAttention] = {
    "blocks": BlockAttention,
    "flex": FlexAttention,
    "dense": DenseAttention,
}
