"""From verified groups to what the learner needs: rewards, advantages and token weights of rollouts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlvr.algorithms import CREDITS, process_tree_statistics
from rlvr.algorithms.losses import BY_MICRO_BATCH, LOSSES
from rlvr.config import Config
from rlvr.config.plugins import added
from rlvr.config.registry import Method
from rlvr.config.schema import AlgorithmConfig
from rlvr.data import UNSCORABLE, Completion, Group, Verdict
from rlvr.training.methods import Methods
from rlvr.verification.grading import is_graded


def takes_all_rollouts(algorithm: AlgorithmConfig) -> bool:
    """Whether rollouts of advantage 0 change the update too.

    By a KL or entropy term, in the means and shares that some losses take, or, as far as is known here, in
    the loss of a plug-in.
    """
    by_terms = algorithm.kl_coefficient > 0 or algorithm.entropy_coefficient != 0
    return by_terms or algorithm.loss in BY_MICRO_BATCH or algorithm.loss not in LOSSES


@dataclass(slots=True)
class Batch:
    """The rollouts of one step, group after group. R is the number of rollouts.

    Attributes:
        groups: as sampled and verified.
        group_index_R: int64, position in `groups` of each rollout's group.
        correct_R: float32, 1, 0 or NaN (not scorable): raw correctness.
        reward_R: float32, what advantages are made of; NaN is left out.
        focal_R: float32, the weight that `advantage_scaling` gives each rollout; 1 without scaling.
        advantage_R: float32, after scaling; 0 where there is no signal.
        counted_R: bool, whether the rollout's tokens are part of the loss's normaliser.
    """

    groups: list[Group]
    group_index_R: Tensor
    correct_R: Tensor
    reward_R: Tensor
    focal_R: Tensor
    advantage_R: Tensor
    counted_R: Tensor

    def counted(self, g: int) -> list[tuple[int, Completion]]:
        """The rollouts of a group that are part of the loss, each with its place among all rollouts."""
        start = sum(len(group.completions) for group in self.groups[:g])
        completions = self.groups[g].completions
        counted = self.counted_R[start : start + len(completions)].tolist()
        return list(itertools.compress(enumerate(completions, start), counted))


def correctness(groups: Sequence[Group], *, truncated: str = "wrong") -> Tensor:
    """1 for CORRECT, 0 for a wrong, missing or truncated answer, NaN where nothing can be judged, [R].

    `truncated="masked"` makes truncated completions NaN too.
    """

    def value(verdict: Verdict) -> float:
        if verdict in UNSCORABLE or (verdict is Verdict.TRUNCATED and truncated == "masked"):
            return float("nan")
        return float(verdict is Verdict.CORRECT)

    return torch.tensor([value(verdict) for group in groups for verdict in group.verdicts])


def make_batch(groups: list[Group], config: Config, methods: Methods | None = None) -> Batch:
    """Rewards, then advantages within each group, then scaling by the group's raw success rate.

    Args:
        methods: the run's own, with what they remember; by default they begin anew.
    """
    columns = rollout_columns(groups, config)
    reward_R, focal_R, advantage_R = (methods or Methods(config))(columns)
    return Batch(
        groups=groups,
        group_index_R=columns["group_index"],
        correct_R=columns["correct"],
        reward_R=reward_R,
        focal_R=focal_R,
        advantage_R=advantage_R,
        counted_R=~reward_R.isnan(),
    )


def rollout_columns(groups: Sequence[Group], config: Config) -> dict[str, Any]:
    """What methods may take of verified groups (`rlvr.config.registry.ROLLOUTS`)."""
    sizes = torch.tensor([len(group.completions) for group in groups])
    completions = [completion for group in groups for completion in group.completions]
    correct_R = correctness(groups, truncated=config.algorithm.truncated)
    graded = {}
    if is_graded(config.reward):
        # advantages are differences: in float32 those of 1.7e9 and 1.7e9 + 1 would be 0
        reward_R = torch.tensor([r for group in groups for r in group.rewards], dtype=torch.float64)
        graded["graded"] = reward_R.where(~correct_R.isnan(), torch.nan)
    return {
        **graded,
        "correct": correct_R,
        "group_index": torch.repeat_interleave(torch.arange(len(groups)), sizes),
        "lengths": torch.tensor([len(completion.token_ids) for completion in completions]),
        "logprobs": torch.tensor([sum(completion.logprobs) for completion in completions]),
        "token_ids": [completion.token_ids for completion in completions],
        "texts": [completion.text for completion in completions],
        "problem_ids": [group.problem.id for group in groups for _ in group.completions],
        "max_tokens": config.training.sampling.max_tokens,
    }


def rewards_and_advantages(
    correct_R: Tensor, length_R: Tensor, group_index_R: Tensor, config: Config
) -> tuple[Tensor, Tensor, Tensor]:
    """Reward, focal weight and advantage of each rollout, all float [R], from what any trainer knows of it.

    For methods that take no other columns and remember nothing: verl's are checked to be such.

    Args:
        correct_R: raw correctness: 1, 0 or NaN (not scorable).
        length_R: tokens of each completion.
        group_index_R: int64 id of the group of each rollout.
    """
    return Methods(config)(
        {
            "correct": correct_R,
            "lengths": length_R,
            "group_index": group_index_R,
            "max_tokens": config.training.sampling.max_tokens,
        }
    )


def signal(batch: Batch) -> list[bool]:
    """For each group, whether any of its rollouts has an advantage."""
    flags = [False] * len(batch.groups)
    for group, advantage in zip(batch.group_index_R.tolist(), batch.advantage_R.tolist(), strict=True):
        flags[group] |= advantage != 0
    return flags


def token_weights(completions: Sequence[Completion], credit: Any) -> list[Tensor]:
    """Weights of the tokens of each scorable completion of one group, float32.

    Args:
        credit: the config's `credit`, or the name of one that has no keys.
    """
    name = credit if isinstance(credit, str) else credit.name
    method = Method(name, added("credits", CREDITS)[name], credit)
    return method({"completions": [completion.token_ids for completion in completions]})


def engine_logprobs(completions: Sequence[Completion]) -> Tensor:
    """Of all tokens of one or more completions, as they were sampled: float32, one after the other."""
    return torch.from_numpy(np.concatenate([np.array(c.logprobs, dtype=np.float32) for c in completions]))


def batch_metrics(batch: Batch, sampled: Sequence[Group] | None = None) -> dict[str, float]:
    """What the rollouts of a step say about the policy.

    Args:
        sampled: all groups of the step, those that dynamic sampling left out among them; by default its own.

    A group without a scorable rollout is neither right, wrong nor mixed: it is `groups/unscorable`, which is
    there only if such groups are. In a step of such groups alone rewards have no mean.
    """
    completions = [completion for group in batch.groups for completion in group.completions]
    verdicts = [verdict for group in batch.groups for verdict in group.verdicts]
    lengths = torch.tensor([float(len(completion.token_ids)) for completion in completions])
    logprobs = engine_logprobs(completions)
    tokens = sum(len(c.token_ids) for group in sampled or batch.groups for c in group.completions)
    groups = len(batch.groups)

    def per_group(values_R: Tensor) -> Tensor:
        return torch.zeros(groups).index_add(0, batch.group_index_R, values_R)

    scorable = ~batch.correct_R.isnan()
    count_G, right_G = per_group(scorable.float()), per_group(batch.correct_R.nan_to_num(0.0))
    signal_G = per_group(batch.advantage_R.abs()) > 0
    focal_G = per_group(batch.focal_R) / per_group(torch.ones_like(batch.focal_R))
    metrics = {
        "groups/all_right": ((right_G == count_G) & (count_G > 0)).float().mean().item(),
        "groups/all_wrong": ((right_G == 0) & (count_G > 0)).float().mean().item(),
        "groups/mixed": ((right_G > 0) & (right_G < count_G)).float().mean().item(),
        "groups/without_signal": (~signal_G).float().mean().item(),
        "focal/weight_mean": focal_G.mean().item(),
        "focal/weight_mean_with_signal": focal_G[signal_G].mean().item() if signal_G.any() else 1.0,
        "policy/entropy": -logprobs.mean().item(),  # unbiased: the tokens were sampled from the policy
        "completion/length_mean": lengths.mean().item(),
        "completion/length_max": lengths.max().item(),
        "completion/truncated": sum(c.finish_reason == "length" for c in completions) / len(completions),
        "tokens/sampled": float(tokens),
    }
    # a step in which nothing could be judged has no mean; NaN would be no JSON
    if batch.counted_R.any():
        metrics["reward/mean"] = batch.reward_R.nanmean().item()
    if scorable.any():
        metrics["reward/success_rate"] = batch.correct_R.nanmean().item()
    if unscorable := (count_G == 0).float().mean().item():
        metrics["groups/unscorable"] = unscorable
    metrics |= tree_metrics(batch.groups) | grade_metrics(batch) | source_metrics(batch)
    for verdict in Verdict:
        if count := verdicts.count(verdict):
            metrics[f"verdict/{verdict}"] = count / len(verdicts)
    return metrics


def source_metrics(batch: Batch) -> dict[str, float]:
    """Mean reward of the problems of each source, where there are several; one without a reward has none."""
    sources = [batch.groups[g].problem.source for g in batch.group_index_R.tolist()]
    if len(different := dict.fromkeys(sources)) == 1:
        return {}
    of_each = {s: batch.reward_R[torch.tensor([one == s for one in sources])] for s in different}
    return {
        f"reward/source/{source}": reward_R.nanmean().item()
        for source, reward_R in of_each.items()
        if not reward_R.isnan().all()
    }


def grade_metrics(batch: Batch) -> dict[str, float]:
    """Means of a graded reward's parts, and the share of rollouts that its function gave none.

    Groups of a round of sampling in which nothing was graded have no parts, and a part that no rollout has no
    mean.
    """
    metrics = {}
    for name in {name: None for group in batch.groups for name in group.reward_parts}:
        part = torch.tensor([value for group in batch.groups for value in group.reward_parts.get(name, [])])
        if not part.isnan().all():
            metrics[f"reward/part/{name}"] = part.nanmean().item()
    if batch.groups[0].rewards:
        without = batch.reward_R.isnan() & ~batch.correct_R.isnan()
        metrics["reward/left_out"] = without.float().mean().item()
    return metrics


def tree_metrics(groups: Sequence[Group]) -> dict[str, float]:
    """How much the rollouts of a group share, means over groups (λ-GRPO, experiment 1).

    The share of groups whose tree is flat; process steps from the root to a leaf; share of a completion's
    tokens that another rollout of its group has too, all tokens before them included.
    """
    trees = [process_tree_statistics([c.token_ids for c in group.completions]) for group in groups]
    return {
        "process_tree/flat": sum(tree.is_flat for tree in trees) / len(trees),
        "process_tree/path_depth": sum(tree.mean_path_depth for tree in trees) / len(trees),
        "process_tree/shared_tokens": sum(tree.intermediate_proportion for tree in trees) / len(trees),
    }
