"""Attention over a flat row of tokens without padding, inside any transformers decoder.

Every linear layer of the model sees one row of real tokens [1, T]; only attention needs to know which token
sees which. A *layout* knows that, and travels through the model as a keyword argument to the attention
function registered here. For training it is a prefix tree with one of the `ATTENTIONS`, which say the same:

- `varlen`: sequences without padding through FlashAttention (`rlvr.policy.varlen`)
- `efficient`: padded blocks of sequences through the memory-efficient kernel, in float32 too
- `blocks`: the same through whichever of torch's fused kernels takes them (`rlvr.policy.blocks`)
- `flex`: flex_attention with the tree's mask; nothing is padded or copied, whatever the lengths
- `dense`: the whole mask, [T, T]; the reference that the others are tested against
- `auto`: of these the one for the device and the precision (`attention_for`)

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
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface

from rlvr.policy.blocks import BlockAttention, EfficientAttention
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.policy.varlen import VarlenAttention

ATTENTION = "rlvr_layout"
# what models hand over to an attention that is more than a softmax over all tokens before: sinks, caps, picks
BEYOND = {"s_aux", "softcap", "position_bias", "indices", "block_indices"}
FLEX_BLOCK = 128  # queries and keys of a block of flex_attention's kernels


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


# not for a compiled layer to see: a layout is another object for every micro-batch, and torch would compile
# anew for every layer's number
@torch.compiler.disable
def _attend(
    module, query, key, value, attention_mask, scaling, layout: Layout, **others
) -> tuple[Tensor, None]:
    if beyond := sorted(name for name in BEYOND & others.keys() if others[name] is not None):
        raise NotImplementedError(f"its attention has {', '.join(beyond)}")
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
        self.mask = block_mask(tree)

    def __len__(self) -> int:
        return self.tokens

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        rows = (row[: self.tokens].transpose(0, 1)[None] for row in (query_THD, key_TKD, value_TKD))
        output_1HTD = _flex(query_THD.is_cuda)(*rows, block_mask=self.mask, scale=scale, enable_gqa=True)
        return output_1HTD[0].transpose(0, 1)


def block_mask(tree: PrefixTree, size: int = FLEX_BLOCK) -> BlockMask:
    """`sees` by blocks of `size` queries and keys, from where subtrees end, without any pair of tokens.

    Of the blocks before a query's own one is seen in part where its furthest subtree reaches the first query,
    and whole where its nearest reaches beyond the last.
    """
    count = -(-len(tree) // size)
    # a subtree that has ended before it began is the padding's
    end_BS = pad(tree.subtree_end_T, (0, count * size - len(tree))).view(count, size)
    first_B = torch.arange(0, count * size, size, device=end_BS.device)
    is_before_BB = first_B[None, :] < first_B[:, None]
    any_BB = is_before_BB & (end_BS.amax(1)[None, :] > first_B[:, None])
    all_BB = is_before_BB & (end_BS.amin(1)[None, :] >= first_B[:, None] + size)
    own_BB = torch.eye(count, dtype=torch.bool, device=end_BS.device)
    partial = _ordered((any_BB & ~all_BB) | own_BB)
    return BlockMask.from_kv_blocks(
        *partial,
        *_ordered(all_BB),
        BLOCK_SIZE=size,
        mask_mod=sees(tree),
        seq_lengths=(len(tree), len(tree)),
    )


def _ordered(seen_BB: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks each row sees, int32 [1, 1, B], and which, those seen first, int32 [1, 1, B, B]."""
    counts_B = seen_BB.sum(-1, dtype=torch.int32)
    order_BB = seen_BB.int().argsort(dim=-1, descending=True, stable=True).int()
    return counts_B[None, None], order_BB[None, None].contiguous()


@cache
def _flex(compiled: bool) -> Callable[..., Tensor]:
    # without compilation it holds all scores, which is what tests on a CPU do; every tree has another length
    return torch.compile(flex_attention, dynamic=True) if compiled else flex_attention


class AutomaticAttention:
    """The attention of `attention_for`, chosen when the precision is known: at the first layer."""

    def __init__(self, tree: PrefixTree):
        self.tree = tree
        self.chosen: Layout | None = None

    def __len__(self) -> int:
        return len(self.tree)

    def attend(
        self, layer: int, query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, scale: float
    ) -> Tensor:
        """See `Layout.attend`."""
        if self.chosen is None:
            name = attention_for(value_TKD.device, value_TKD.dtype, value_TKD.shape[-1])
            self.chosen = ATTENTIONS[name](self.tree)
        return self.chosen.attend(layer, query_THD, key_TKD, value_TKD, scale)


def attention_for(device: torch.device, dtype: torch.dtype, head_size: int = 128) -> str:
    """Of `ATTENTIONS` the fastest that certainly holds no scores on a device; on a CPU all do well."""
    if device.type != "cuda":
        return "blocks"
    is_half = dtype in (torch.bfloat16, torch.float16)
    has_flash = torch.cuda.get_device_capability(device) >= (8, 0) and torch.version.hip is None
    return "varlen" if is_half and has_flash and head_size <= 256 and head_size % 8 == 0 else "efficient"


TreeAttention = Callable[[PrefixTree], Layout]
ATTENTIONS: dict[str, TreeAttention] = {
    "auto": AutomaticAttention,
    "varlen": VarlenAttention,
    "efficient": EfficientAttention,
    "blocks": BlockAttention,
    "flex": FlexAttention,
    "dense": DenseAttention,
}
