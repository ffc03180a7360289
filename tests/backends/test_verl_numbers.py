"""Our functions through verl's registries on verl's data types, and where verl's own defaults differ.

Where settings coincide, tests/parity holds a whole step against verl's.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verl")
from omegaconf import OmegaConf
from training_groups import LOST, RIGHT, WRONG, make_groups
from verl import DataProto
from verl.trainer.ppo.core_algos import get_adv_estimator_fn, get_policy_loss_fn
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.workers.config import FSDPActorConfig

from rlvr.algorithms import cispo_token_loss, grpo_token_loss, process_set_sizes
from rlvr.backends.verl.advantages import UNSCORABLE, fold_process_weights
from rlvr.config import load_config, to_yaml
from rlvr.data import Group, Verdict
from rlvr.training.batch import make_batch, token_weights

pytestmark = pytest.mark.verl

MIXED = [[RIGHT, WRONG, WRONG, RIGHT], [RIGHT, RIGHT], [WRONG, LOST, RIGHT, WRONG], [LOST, RIGHT], [WRONG]]


def as_verl_has_them(groups: list[Group], *, padding: int = 0) -> DataProto:
    """Rollouts of all groups, shuffled; the reward stands on the last token. Padding has the first's uid."""
    rollouts = [
        (group.problem.id, completion, verdict)
        for group in groups
        for completion, verdict in zip(group.completions, group.verdicts, strict=True)
    ]
    longest = max(len(completion.token_ids) for _, completion, _ in rollouts)
    rewards, mask = torch.zeros(2, len(rollouts) + padding, longest).unbind()
    for row, (_, completion, verdict) in enumerate(rollouts):
        length = len(completion.token_ids)
        mask[row, :length] = 1
        rewards[row, length - 1] = {Verdict.CORRECT: 1.0, LOST: UNSCORABLE}.get(verdict, 0.0)
    uids = [uid for uid, _, _ in rollouts] + [rollouts[0][0]] * padding
    return DataProto.from_dict(
        tensors={"token_level_rewards": rewards, "response_mask": mask},
        non_tensors={"uid": np.array(uids, dtype=object)},
    )


def algorithm_section(overrides: list[str], folder: Path):
    """What verl's `algorithm` section holds of rlvr's config."""
    config = load_config(overrides)
    (folder / "config.yaml").write_text(to_yaml(config))
    return config, OmegaConf.create({"rlvr": {"config": str(folder / "config.yaml"), "end_ids": [2]}})


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm=grpo"],
        ["algorithm=dr_grpo"],
        ["advantage_scaling=focal", "advantage_scaling.gamma=1.0"],
        ["advantage_scaling=focal", "algorithm.overlong_penalty.buffer=6", "training.sampling.max_tokens=8"],
    ],
)
def test_advantages_are_the_native_ones(overrides: list[str], tmp_path: Path):
    config, section = algorithm_section(overrides, tmp_path)
    groups = make_groups(MIXED)
    data = compute_advantage(as_verl_has_them(groups, padding=2), adv_estimator="rlvr", config=section)
    batch = make_batch(groups, config)
    expected = batch.advantage_R[:, None] * data.batch["response_mask"][:-2]
    torch.testing.assert_close(data.batch["advantages"][:-2], expected, rtol=0, atol=0)
    assert not data.batch["advantages"][-2:].any()
    torch.testing.assert_close(data.batch["returns"], data.batch["advantages"], rtol=0, atol=0)
    assert data.batch["advantages"].abs().sum() > 0


def test_raw_correctness_reaches_the_focal_weight_when_the_reward_is_shaped(tmp_path: Path):
    """Four rollouts, two right, one of the right ones 2 tokens too long: rewards 1, .5, 0, 0.

    Mean .375, std (ddof 1) sqrt(.6875 / 3); the weight is 1 - 2/4, where the shaped mean would give 1 - .375.
    """
    overrides = ["advantage_scaling=focal", "advantage_scaling.gamma=1", "algorithm.advantage_eps=0"]
    overrides += ["algorithm.overlong_penalty.buffer=4", "training.sampling.max_tokens=8"]
    _, section = algorithm_section(overrides, tmp_path)
    rewards, mask = torch.zeros(4, 8), torch.zeros(4, 8)
    for row, (length, reward) in enumerate([(2, 1.0), (6, 1.0), (3, 0.0), (4, 0.0)]):
        mask[row, :length] = 1
        rewards[row, length - 1] = reward
    advantages, _ = get_adv_estimator_fn("rlvr")(
        token_level_rewards=rewards, response_mask=mask, index=np.array(["a"] * 4), config=section
    )
    std = math.sqrt(0.6875 / 3)
    expected = torch.tensor([0.625, 0.125, -0.375, -0.375]) / std * 0.5
    torch.testing.assert_close(advantages[:, 0], expected)


def actor(**changes) -> FSDPActorConfig:
    settings = {"strategy": "fsdp", "rollout_n": 4, "use_dynamic_bsz": True, "clip_ratio_c": math.inf}
    return FSDPActorConfig(**settings | changes)


def tokens(seed: int = 0) -> dict[str, torch.Tensor]:
    """Log-probabilities with ratios from about 0.2 to 5, advantages of both signs, a ragged mask."""
    generator = torch.Generator().manual_seed(seed)
    old = -torch.rand(6, 9, generator=generator) * 3
    new = (old + 0.6 * torch.randn(6, 9, generator=generator)).requires_grad_()
    advantages = torch.randn(6, 1, generator=generator).expand(6, 9)
    mask = torch.arange(9) < torch.tensor([9, 3, 5, 1, 8, 4])[:, None]
    return {"old_log_prob": old, "log_prob": new, "advantages": advantages, "response_mask": mask}


def loss_and_gradient(name: str, config: FSDPActorConfig, given: dict, **more) -> tuple[float, torch.Tensor]:
    loss, metrics = get_policy_loss_fn(name)(**given, config=config, **more)
    (gradient,) = torch.autograd.grad(loss, given["log_prob"])
    assert {"actor/pg_clipfrac", "actor/ppo_kl", "actor/pg_clipfrac_lower"} <= metrics.keys()
    return loss.item(), gradient


@pytest.mark.parametrize("dual_clip", [None, 3.0])
def test_the_grpo_loss_is_the_native_one(dual_clip: float | None):
    given = tokens()
    config = actor(clip_ratio_low=0.2, clip_ratio_high=0.28, clip_ratio_c=dual_clip or math.inf)
    loss, gradient = loss_and_gradient("rlvr_grpo", config, given)
    mask = given["response_mask"]
    native = grpo_token_loss(
        given["log_prob"][mask],
        given["old_log_prob"][mask],
        given["advantages"][mask],
        clip_low=0.2,
        clip_high=0.28,
        dual_clip=dual_clip,
    )
    assert loss == pytest.approx(native.mean().item(), rel=1e-6)
    assert not gradient[~mask].any()
    (expected,) = torch.autograd.grad(native.mean(), given["log_prob"])
    torch.testing.assert_close(gradient, expected)


def test_the_cispo_loss_is_the_native_one():
    given = tokens()
    loss, gradient = loss_and_gradient("rlvr_cispo", actor(clip_ratio_low=1.0, clip_ratio_high=1.0), given)
    mask = given["response_mask"]
    columns = [given[name][mask] for name in ("log_prob", "old_log_prob", "advantages")]
    native = cispo_token_loss(*columns, is_weight_min=0.0, is_weight_max=2.0).mean()
    assert loss == pytest.approx(native.item(), rel=1e-6)
    torch.testing.assert_close(gradient, torch.autograd.grad(native, given["log_prob"])[0])


@pytest.mark.parametrize("name", ["rlvr_grpo", "rlvr_cispo"])
def test_micro_batches_add_up_and_engine_weights_count(name: str):
    """verl gives every micro-batch the token count of the whole step: 30 here."""
    given, config = tokens(), actor(clip_ratio_low=0.2, clip_ratio_high=0.5)
    weights = torch.rand(6, 9, generator=torch.Generator().manual_seed(1))
    whole, gradient = loss_and_gradient(name, config, given, rollout_is_weights=weights)
    assert int(given["response_mask"].sum()) == 30
    config.global_batch_info.update(dp_size=1, batch_num_tokens=30)
    total, parts = 0.0, torch.zeros(6, 9)
    for rows in (slice(0, 1), slice(1, 4), slice(4, 6)):
        part = {key: value[rows] for key, value in given.items() if key != "log_prob"}
        part["log_prob"] = given["log_prob"].detach()[rows].clone().requires_grad_()
        loss, part_gradient = loss_and_gradient(name, config, part, rollout_is_weights=weights[rows])
        total += loss
        parts[rows] = part_gradient
    assert total == pytest.approx(whole, rel=1e-5)
    torch.testing.assert_close(parts, gradient)
    unweighted, _ = loss_and_gradient(name, actor(clip_ratio_low=0.2, clip_ratio_high=0.5), given)
    assert unweighted != pytest.approx(whole, rel=1e-3)


def test_verls_dual_clip_cuts_what_ours_does_not():
    """One token, A = -1, ratio 5: the loss is 5 without a dual clip, and verl's 3 with its default."""
    given = {
        "old_log_prob": torch.zeros(1, 1),
        "log_prob": torch.full((1, 1), math.log(5.0)).requires_grad_(),
        "advantages": -torch.ones(1, 1),
        "response_mask": torch.ones(1, 1),
    }
    ours, gradient = loss_and_gradient("rlvr_grpo", actor(), given)
    theirs, their_gradient = loss_and_gradient("vanilla", actor(clip_ratio_c=3.0), given)
    assert (ours, gradient.item()) == pytest.approx((5.0, 5.0))
    assert (theirs, their_gradient.item()) == pytest.approx((3.0, 0.0))


def test_verls_default_cispo_bounds_are_narrower_than_the_papers():
    """Ratio 5 counts 1.2 under verl's defaults and 5 under the paper's 0 and 6."""
    given = {
        "old_log_prob": torch.full((1, 1), -math.log(5.0)),
        "log_prob": torch.zeros(1, 1).requires_grad_(),
        "advantages": torch.ones(1, 1),
        "response_mask": torch.ones(1, 1),
    }
    _, papers = loss_and_gradient("rlvr_cispo", actor(clip_ratio_low=1.0, clip_ratio_high=5.0), given)
    _, default = loss_and_gradient("cispo", actor(), given)
    assert (papers.item(), default.item()) == pytest.approx((-5.0, -1.2))


def test_verls_padding_is_a_wrong_rollout_to_its_grpo(tmp_path: Path):
    """[1, 1] and one padding row with the same uid: verl's mean is 2/3 and its std sqrt(1/3), so
    (1/3) / sqrt(1/3) = .577 for each right rollout; the group has no signal, and ours is 0."""
    _, section = algorithm_section(["algorithm=grpo"], tmp_path)
    groups = make_groups([[RIGHT, RIGHT]])
    ours = compute_advantage(as_verl_has_them(groups, padding=1), adv_estimator="rlvr", config=section)
    theirs = compute_advantage(as_verl_has_them(groups, padding=1), adv_estimator="grpo", config=section)
    assert not ours.batch["advantages"].any()
    assert theirs.batch["advantages"][0, 0].item() == pytest.approx(1 / math.sqrt(3), abs=1e-5)


def test_folded_token_weights_are_the_native_ones():
    groups = make_groups([[RIGHT, WRONG, LOST, RIGHT, WRONG], [WRONG, RIGHT, RIGHT]])
    batch = make_batch(groups, load_config(["credit=process_lambda"]))
    rows = [(g, c) for g, group in enumerate(groups) for c in group.completions]
    advantages = [
        torch.full((len(c.token_ids),), batch.advantage_R[row].item()) for row, (_, c) in enumerate(rows)
    ]
    rewards = [
        torch.tensor([0.0] * (len(c.token_ids) - 1) + [UNSCORABLE if math.isnan(r) else r])
        for (_, c), r in zip(rows, batch.correct_R.tolist(), strict=True)
    ]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    folded = fold_process_weights(
        [advantages[i] for i in order],
        [torch.tensor(rows[i][1].token_ids) for i in order],
        [rewards[i] for i in order],
        [rows[i][0] for i in order],
    )
    for g in range(len(groups)):
        counted = batch.counted(g)
        weights = token_weights([completion for _, completion in counted], "process_lambda")
        for (row, _), weight in zip(counted, weights, strict=True):
            torch.testing.assert_close(folded[order.index(row)], advantages[row] * weight)
    assert any(size.max() > 1 for size in process_set_sizes([c.token_ids for c in groups[0].completions]))
