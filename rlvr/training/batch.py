"""From verified groups to what the learner needs: rewards, advantages and token weights of rollouts."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from rlvr.algorithms import (
    SCALINGS,
    differential_smoothing,
    group_relative_advantages,
    process_set_sizes,
    process_tree_statistics,
    soft_overlong_penalty,
)
from rlvr.config import Config
from rlvr.config.plugins import added
from rlvr.data import UNSCORABLE, Completion, Group, Verdict


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


def make_batch(groups: list[Group], config: Config) -> Batch:
    """Rewards, then advantages within each group, then scaling by the group's raw success rate."""
    sizes = torch.tensor([len(group.completions) for group in groups])
    group_index_R = torch.repeat_interleave(torch.arange(len(groups)), sizes)
    correct_R = correctness(groups, truncated=config.algorithm.truncated)
    length_R = torch.tensor([len(c.token_ids) for group in groups for c in group.completions])
    logprob_R = torch.tensor([sum(c.logprobs) for group in groups for c in group.completions])
    reward_R, focal_R, advantage_R = rewards_and_advantages(
        correct_R, length_R, group_index_R, config, logprob_R=logprob_R
    )
    return Batch(
        groups=groups,
        group_index_R=group_index_R,
        correct_R=correct_R,
        reward_R=reward_R,
        focal_R=focal_R,
        advantage_R=advantage_R,
        counted_R=~reward_R.isnan(),
    )


def rewards_and_advantages(
    correct_R: Tensor,
    length_R: Tensor,
    group_index_R: Tensor,
    config: Config,
    *,
    logprob_R: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Reward, focal weight and advantage of each rollout, all float [R], as `Batch` describes them.

    Args:
        correct_R: raw correctness: 1, 0 or NaN (not scorable).
        length_R: tokens of each completion.
        group_index_R: int64 id of the group of each rollout.
        logprob_R: log-probability of each completion when it was sampled; differential smoothing needs it.
    """
    algorithm = config.algorithm
    reward_R = correct_R.clone()
    if algorithm.overlong_penalty.buffer:
        reward_R += soft_overlong_penalty(
            length_R,
            config.training.sampling.max_tokens,
            algorithm.overlong_penalty.buffer,
            algorithm.overlong_penalty.factor,
        )
    smoothing = algorithm.differential_smoothing
    if smoothing.correct or smoothing.wrong:
        assert logprob_R is not None, "differential smoothing without log-probabilities"
        reward_R += differential_smoothing(
            logprob_R, correct_R, of_correct=smoothing.correct, of_wrong=smoothing.wrong
        )
    advantage_R = group_relative_advantages(
        reward_R,
        group_index_R,
        ddof=algorithm.ddof,
        eps=algorithm.advantage_eps,
        normalize_std=algorithm.normalize_std,
    )
    parameters = asdict(config.advantage_scaling)
    scaling = added("advantage_scalings", SCALINGS)[parameters.pop("name")]
    focal_R = scaling(correct_R, group_index_R, **parameters)
    return reward_R, focal_R, advantage_R * focal_R


def token_weights(completions: Sequence[Completion], credit: str) -> list[Tensor]:
    """Weights of the tokens of each scorable completion of one group, float32.

    λ-GRPO (eq. 9): one over the number of completions that share the token and all before it.
    """
    token_ids = [completion.token_ids for completion in completions]
    if credit == "process_lambda":
        return [1.0 / size.float() for size in process_set_sizes(token_ids)]
    lengths = list(map(len, token_ids))
    return list(torch.ones(sum(lengths)).split(lengths))


def batch_metrics(batch: Batch) -> dict[str, float]:
    """What the rollouts of a step say about the policy."""
    completions = [completion for group in batch.groups for completion in group.completions]
    verdicts = [verdict for group in batch.groups for verdict in group.verdicts]
    lengths = torch.tensor([float(len(completion.token_ids)) for completion in completions])
    logprobs = torch.tensor([value for completion in completions for value in completion.logprobs])
    groups = len(batch.groups)

    def per_group(values_R: Tensor) -> Tensor:
        return torch.zeros(groups).index_add(0, batch.group_index_R, values_R)

    scorable = ~batch.correct_R.isnan()
    count_G, right_G = per_group(scorable.float()), per_group(batch.correct_R.nan_to_num(0.0))
    signal_G = per_group(batch.advantage_R.abs()) > 0
    focal_G = per_group(batch.focal_R) / per_group(torch.ones_like(batch.focal_R))
    metrics = {
        "reward/mean": batch.reward_R.nanmean().item(),
        "reward/success_rate": batch.correct_R.nanmean().item(),
        "groups/all_right": (right_G == count_G).float().mean().item(),
        "groups/all_wrong": ((right_G == 0) & (count_G > 0)).float().mean().item(),
        "groups/mixed": ((right_G > 0) & (right_G < count_G)).float().mean().item(),
        "groups/without_signal": (~signal_G).float().mean().item(),
        "focal/weight_mean": focal_G.mean().item(),
        "focal/weight_mean_with_signal": focal_G[signal_G].mean().item() if signal_G.any() else 1.0,
        "policy/entropy": -logprobs.mean().item(),  # unbiased: the tokens were sampled from the policy
        "completion/length_mean": lengths.mean().item(),
        "completion/length_max": lengths.max().item(),
        "completion/truncated": sum(c.finish_reason == "length" for c in completions) / len(completions),
        "tokens/sampled": float(lengths.sum()),
    }
    metrics |= tree_metrics(batch.groups)
    for verdict in Verdict:
        if count := verdicts.count(verdict):
            metrics[f"verdict/{verdict}"] = count / len(verdicts)
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
