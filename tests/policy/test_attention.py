"""Who sees whom in a prefix tree, and every attention against the whole mask, outputs and gradients."""

import random

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask

from rlvr.errors import UserError
from rlvr.policy.attention import ATTENTIONS, attention_for, block_mask, dense_mask, sees
from rlvr.policy.blocks import MIN_SOFTMAX_WIDTH, widened, without_math
from rlvr.policy.cpu.attention import CPUAttention
from rlvr.policy.prefix_tree import PrefixTree

EVERY = {**ATTENTIONS, "cpu": CPUAttention}


def ragged(prompt_lengths: range) -> PrefixTree:
    """Groups of four, of which two begin alike; completions of 2 to 9 tokens."""
    rng = random.Random(0)

    def tokens(count: int) -> list[int]:
        return [rng.randrange(100) for _ in range(count)]

    prompts = [tokens(rng.choice(prompt_lengths)) for _ in range(3)]
    completions = [[tokens(rng.randrange(2, 10)) for _ in range(4)] for _ in prompts]
    for group in completions:
        group[1] = group[0][:2] + group[1]
    return PrefixTree.build(prompts, completions)


def outputs_and_gradients(tree: PrefixTree, name: str, dtype: torch.dtype) -> list[torch.Tensor]:
    """Four query heads on two of keys and values; the row is longer than what is attended to."""
    generator = torch.Generator().manual_seed(1)
    rows = [
        torch.randn(len(tree) + 3, heads, 8, generator=generator).to(dtype).requires_grad_()
        for heads in (4, 2, 2)
    ]
    layout = EVERY[name](tree)
    if name == "flex":  # has no backward on a CPU
        with torch.no_grad():
            return [layout.attend(0, *(row.detach() for row in rows), 0.3)]
    output_THD = layout.attend(0, *rows, 0.3)
    output_THD.backward(torch.randn(output_THD.shape, generator=generator).to(dtype))
    return [output_THD.detach(), *(row.grad for row in rows)]


@pytest.mark.parametrize("prompts", [range(1, 8), range(MIN_SOFTMAX_WIDTH, 30)], ids=["narrow", "wide"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.04)], ids=["float32", "bfloat16"]
)
@pytest.mark.parametrize("name", sorted(EVERY.keys() - {"dense"}))
def test_every_attention_says_what_the_whole_mask_does(
    name: str, prompts: range, dtype: torch.dtype, tolerance: float
):
    ours = outputs_and_gradients(ragged(prompts), name, dtype)
    reference = outputs_and_gradients(ragged(prompts), "dense", torch.float32)
    for one, other in zip(ours, reference, strict=name != "flex"):
        assert one.dtype == dtype
        torch.testing.assert_close(one.float(), other, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("size", [4, 7, 128])
def test_the_block_mask_is_that_of_all_pairs(size: int):
    """On random forests, some shorter than a block: which blocks are seen in part, and which whole."""
    rng = random.Random(4)
    for _ in range(20):
        prompts = [[rng.randrange(3) for _ in range(rng.randrange(1, 25))] for _ in range(3)]
        completions = [
            [[rng.randrange(3) for _ in range(rng.randrange(30))] for _ in range(rng.randrange(1, 5))]
            for _ in prompts
        ]
        tree = PrefixTree.build(prompts, completions)
        ours = block_mask(tree, size)
        expected = create_block_mask(
            sees(tree), None, None, len(tree), len(tree), device="cpu", BLOCK_SIZE=size
        )
        for kind in ("kv", "full_kv", "q", "full_q"):
            counts, theirs = (getattr(mask, f"{kind}_num_blocks")[0, 0] for mask in (ours, expected))
            assert counts.tolist() == theirs.tolist()
            indices, others = (getattr(mask, f"{kind}_indices")[0, 0] for mask in (ours, expected))
            for count, row, other in zip(counts, indices, others, strict=True):
                assert row[:count].tolist() == other[:count].tolist()


def test_a_kernel_that_would_hold_all_scores_is_an_error_beyond_2048_keys():
    """Where values are wider than keys no fused kernel takes them, on a CPU either."""
    rows = [torch.zeros(1, 2, length, 8, requires_grad=True) for length in (3, 4, 4)]
    assert torch.equal(without_math(*rows, scale=1.0), torch.zeros(1, 2, 3, 8))
    wide = [*rows[:2], torch.zeros(1, 2, 4, 16)]
    with pytest.raises(UserError, match=r"over 4 keys: torch .* try training\.attention=auto"):
        without_math(*wide, scale=1.0)


def test_a_gpu_always_has_a_flash_class_kernel(monkeypatch: pytest.MonkeyPatch):
    capability = {0: (9, 0), 1: (7, 5)}
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability[device.index])
    new, old = torch.device("cuda", 0), torch.device("cuda", 1)
    assert attention_for(new, torch.bfloat16) == "varlen"
    assert attention_for(new, torch.float32) == attention_for(old, torch.float16) == "efficient"
    assert attention_for(new, torch.bfloat16, head_size=100) == "efficient"
    assert attention_for(torch.device("cpu"), torch.bfloat16) == "blocks"


def test_long_sequences_go_through_fused_attention(monkeypatch: pytest.MonkeyPatch):
    short = outputs_and_gradients(ragged(range(1, 8)), "cpu", torch.float32)
    monkeypatch.setattr("rlvr.policy.cpu.attention.MAX_DENSE_KEYS", 0)
    assert not CPUAttention(ragged(range(1, 8))).is_short
    fused = outputs_and_gradients(ragged(range(1, 8)), "cpu", torch.float32)
    for one, other in zip(short, fused, strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=2e-6)


def test_gradients_of_attention_in_float64():
    """Prompts alone, and with completions; the softmax is in float32, so differences are coarse."""
    generator = torch.Generator().manual_seed(2)
    for completions in ([[[]], [[]]], [[[7, 8], [7, 9, 5]], [[6, 5]]]):
        layout = CPUAttention(PrefixTree.build([[1, 2, 3], [4, 5]], completions))
        rows = [
            torch.randn(len(layout), heads, 4, generator=generator).double().requires_grad_()
            for heads in (2, 1, 1)
        ]
        assert torch.autograd.gradcheck(
            lambda *rows, layout=layout: layout.attend(0, *rows, 0.5), rows, eps=1e-2, atol=1e-3, rtol=1e-2
        )


def test_the_mask_by_hand():
    """The row is 10 11, after it 20 and 21, which two completions share; then 12, and 20 after it."""
    tree = PrefixTree.build([[10, 11], [12]], [[[20, 21, 22], [20], [20, 21, 23]], [[20, 21]]])
    assert tree.tokens_T.tolist() == [10, 11, 20, 21, 12, 20]
    first = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert dense_mask(tree)[:4, :4].int().tolist() == first
    assert dense_mask(tree)[4:, 4:].int().tolist() == [[1, 0], [1, 1]]
    assert not dense_mask(tree)[:4, 4:].any() and not dense_mask(tree)[4:, :4].any()


def test_a_token_sees_exactly_what_stands_before_it_in_its_sequence():
    """On random groups: the tokens seen from each prefix's predictor are the prompt and that prefix."""
    rng = random.Random(3)
    for _ in range(50):
        prompts = [[rng.randrange(3) for _ in range(rng.randrange(1, 5))] for _ in range(3)]
        completions = [
            [[rng.randrange(3) for _ in range(rng.randrange(7))] for _ in range(rng.randrange(1, 6))]
            for _ in prompts
        ]
        tree = PrefixTree.build(prompts, completions)
        mask, prefixes = dense_mask(tree), iter(tree.prefix_M.tolist())
        for prompt, answers in zip(prompts, completions, strict=True):
            for answer in answers:
                for end in range(len(answer)):
                    place = tree.predictor_N[next(prefixes)]
                    assert tree.tokens_T[mask[place]].tolist() == prompt + answer[:end]
                    assert tree.positions_T[place] == len(prompt) + end - 1


def test_a_softmax_has_enough_columns():
    assert widened(torch.ones(2, 3, dtype=torch.bool)).sum(-1).tolist() == [3, 3]
    assert widened(torch.ones(2, 3)).shape == (2, MIN_SOFTMAX_WIDTH)
    assert widened(torch.ones(2, MIN_SOFTMAX_WIDTH + 1)).shape == (2, MIN_SOFTMAX_WIDTH + 1)
