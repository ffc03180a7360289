"""λ-GRPO's toy tree: its rewards and probabilities by hand, and short runs on the real policy."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from rlvr.tables.toy_tree import describe
from rlvr.theory import toy_tree
from rlvr.theory.toy_tree import PATHS, ToyTree, path_logprobs, simulate_toy_tree, small_gpt2

TREE = ToyTree(shared=2, r_neg=-1.5, learning_rate=1e-3, steps=4, counted=2)


def test_rewards_by_hand():
    """Of 16 paths one is the target; 3 others share its first two choices, 7 its first one."""
    assert PATHS[0].tolist() == [0, 0, 0, 0]
    assert TREE.rewards().tolist() == pytest.approx([1.0] + [-1.5] * 3 + [0.7] * 12)
    assert replace(TREE, shared=1).rewards().tolist() == pytest.approx([1.0] + [-1.5] * 7 + [0.7] * 8)


def test_paths_have_the_probabilities_of_their_choices():
    torch.manual_seed(0)
    model = small_gpt2()
    logp = path_logprobs(model)
    assert logp.sum(dim=1).exp().sum().item() == pytest.approx(1.0, abs=1e-6)
    # a shared prefix has one probability, and the two choices after it sum to 1
    assert torch.equal(logp[:8, 0], logp[0, 0].expand(8))
    assert (logp[0, 0].exp() + logp[8, 0].exp()).item() == pytest.approx(1.0, abs=1e-6)
    # token by token, as one would sample
    logits = model(torch.tensor([[toy_tree.START, 1, 0]])).logits[0, -1, :2]
    torch.testing.assert_close(logp[0b1001, 2], torch.log_softmax(logits, -1)[0], atol=1e-6, rtol=0)


def test_the_file_goes_on_from_what_it_has(tmp_path: Path):
    grid = [TREE, replace(TREE, r_neg=-0.5)]
    whole = simulate_toy_tree(tmp_path / "whole.csv", grid, seeds=(0, 1))
    simulate_toy_tree(tmp_path / "parts.csv", grid[:1], seeds=(0, 1))
    simulate_toy_tree(tmp_path / "parts.csv", grid, seeds=(0, 1))
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(whole) == 2 * 2 * 2
    assert whole["target_frequency"].between(0, 1).all()


def test_a_target_without_rivals_is_found():
    """All other paths are as bad as each other, so that both methods must climb towards the target."""
    easy = ToyTree(shared=1, r_neg=0.0, reward_else=0.0, learning_rate=1e-3, steps=60, counted=10)
    assert min(toy_tree.target_frequency(easy, method, seed=0) for method in toy_tree.METHODS) > 0.9


def test_the_page_stands_beside_the_published_numbers():
    runs = pd.DataFrame(
        [
            {"learning_rate": 1e-5, "n": 1, "r_neg": -1.0, "method": method, "seed": s, "target_frequency": f}
            for method, values in (("grpo", (0.1, 0.3)), ("lambda", (0.5, 0.9)))
            for s, f in enumerate(values)
        ]
    )
    # two seeds: half width 12.706 x spread / 2; differences .4 and .6
    row = describe(runs).splitlines()[-1]
    assert row == ("| 1e-05 | 1 | -1.0 | 0.200 ± 1.271 | 0.700 ± 2.541 | +0.500 ± 1.271 | .0000 | .7535 |")
