"""The toy tree of λ-GRPO (arXiv 2509.21154, experiment 2): is a path found whose first steps look bad?

A path is four choices of left or right. One path, the target, has reward 1; the others that share its first
n choices have `r_neg`; all the rest have .7. So GRPO punishes the very prefix that the target begins with,
once for each rollout in that crowd; λ-GRPO counts a shared token once.

The policy is a small GPT-2 from random weights in the place of the paper's GPT-2-small, whose learning rate
does not carry over: several are run, and all are reported. The paper's optimiser is not known; this is Adam.
With 16 paths one forward pass gives the probability of each, from which groups are drawn.
"""

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from rlvr.algorithms import group_relative_advantages, grpo_token_loss, process_set_sizes
from rlvr.files.atomic import write_whole

DEPTH = 4
START = 2  # the token before every path; 0 and 1 are left and right
PATHS = torch.tensor(list(itertools.product((0, 1), repeat=DEPTH)))  # the target is the first, all left
METHODS = {"grpo": "GRPO", "lambda": "lambda-GRPO"}  # and their names in the published file


@dataclass(frozen=True, slots=True)
class ToyTree:
    """One setting of the experiment; the defaults are the paper's but for the learning rate."""

    shared: int  # n: first choices of the target that a punished path has too
    r_neg: float  # reward of those paths
    learning_rate: float
    reward_else: float = 0.7
    group_size: int = 16
    steps: int = 250
    counted: int = 50  # last steps, over which the target's frequency is taken

    def rewards(self) -> Tensor:
        """Reward of each of `PATHS`, float32 [16]."""
        crowd = (PATHS[:, : self.shared] == PATHS[0, : self.shared]).all(dim=1)
        reward = torch.where(crowd, self.r_neg, self.reward_else)
        reward[0] = 1.0
        return reward


GRID = [
    ToyTree(shared=n, r_neg=r_neg, learning_rate=rate)
    for rate in (1e-5, 1e-4, 1e-3)  # the paper's, and tens of it
    for n in (1, 2)
    for r_neg in (-0.5, -1.0, -1.5)
]
SEEDS = (0, 1, 2, 3, 4)


def small_gpt2() -> torch.nn.Module:
    """A GPT-2 of two layers and width 64, from random weights, without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"n_layer": 2, "n_embd": 64, "n_head": 4, "n_positions": DEPTH, "vocab_size": START + 1}
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    tokens = {"bos_token_id": START, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**shape, **dropout, **tokens))


def path_logprobs(model: torch.nn.Module) -> Tensor:
    """Log-probability of each choice of each path, left and right being all there is, [16, 4]."""
    inputs = torch.cat([torch.full((len(PATHS), 1), START), PATHS[:, :-1]], dim=1)
    logp = torch.log_softmax(model(inputs).logits[..., :START], dim=-1)
    return logp.gather(-1, PATHS[..., None]).squeeze(-1)


def target_frequency(tree: ToyTree, method: str, seed: int) -> float:
    """Train one policy; the share of rollouts of the last steps that are the target.

    Args:
        tree: the setting.
        method: "grpo" or "lambda".
        seed: of the weights and of the draws.
    """
    torch.manual_seed(seed)
    model = small_gpt2()
    optimizer = torch.optim.Adam(model.parameters(), lr=tree.learning_rate)
    reward_of_path = tree.rewards()
    one_group = torch.zeros(tree.group_size, dtype=torch.int64)
    found = 0
    for step in range(tree.steps):
        logp = path_logprobs(model)
        drawn = torch.multinomial(logp.detach().sum(dim=1).exp(), tree.group_size, replacement=True)
        if step >= tree.steps - tree.counted:
            found += int((drawn == 0).sum())
        advantage = group_relative_advantages(reward_of_path[drawn], one_group)
        weight = torch.ones(tree.group_size, DEPTH)
        if method == "lambda":
            weight = 1 / torch.stack(process_set_sizes(PATHS[drawn].numpy())).float()
        chosen = logp[drawn].flatten()
        loss = grpo_token_loss(
            chosen, chosen.detach(), advantage.repeat_interleave(DEPTH), clip_low=0.2, clip_high=0.2
        )
        optimizer.zero_grad()
        (loss * weight.flatten()).mean().backward()
        optimizer.step()
    return found / (tree.counted * tree.group_size)


def simulate_toy_tree(
    file: Path, grid: Sequence[ToyTree] = GRID, seeds: Sequence[int] = SEEDS
) -> pd.DataFrame:
    """Every setting, method and seed; goes on from what `file` (CSV) has, written after each setting.

    Returns:
        `learning_rate`, `n`, `r_neg`, `method`, `seed`, `target_frequency`.
    """
    rows = pd.read_csv(file).to_dict("records") if file.exists() else []
    done = {(row["learning_rate"], row["n"], row["r_neg"]) for row in rows}
    torch.set_num_threads(1)
    for tree in grid:
        if (tree.learning_rate, tree.shared, tree.r_neg) in done:
            continue
        setting = {"learning_rate": tree.learning_rate, "n": tree.shared, "r_neg": tree.r_neg}
        for method, seed in itertools.product(METHODS, seeds):
            frequency = target_frequency(tree, method, seed)
            rows.append(setting | {"method": method, "seed": seed, "target_frequency": frequency})
        text = io.StringIO()
        pd.DataFrame(rows).to_csv(text, index=False, lineterminator="\n")
        write_whole(file, text.getvalue())
    return pd.DataFrame(rows)
