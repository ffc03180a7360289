"""Steps and advantages of rlvr against verl's own functions on one batch.

Both sides get the same token ids, old log-probabilities and rewards. verl's functions stand behind a plain
forward of transformers over padded rows; rlvr's side is the learner as a run has it.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("verl")
from padded_batch import (
    MAX_TOKENS,
    assert_same_step,
    moved,
    moved_policy,
    off_policy_groups,
    padded_batch,
    plain_logprobs,
    plain_model,
    rlvr_step,
)
from training_groups import RIGHT, WRONG, make_groups
from verl.trainer.ppo.core_algos import agg_loss, get_adv_estimator_fn, get_policy_loss_fn, kl_penalty
from verl.workers.config import FSDPActorConfig

from rlvr.config import load_config
from rlvr.training.batch import make_batch

pytestmark = pytest.mark.parity

# groups of two to five; the second has no signal and counts in the normaliser
VERDICTS = [[RIGHT, WRONG, WRONG, RIGHT], [RIGHT, RIGHT], [WRONG, RIGHT, RIGHT, RIGHT, RIGHT], [WRONG, RIGHT]]
NO_DUAL_CLIP = 1e9
KL = 0.05

# what rlvr is told; the name of verl's loss, its aggregation, and clip_ratio_low, _high and _c
STEPS = {
    "grpo": (["algorithm=grpo"], "vanilla", "token-mean", (0.2, 0.2, NO_DUAL_CLIP)),
    "dapo": (["algorithm=dapo"], "vanilla", "token-mean", (0.2, 0.28, NO_DUAL_CLIP)),
    "dual clip": (["algorithm=grpo", "algorithm.dual_clip=2"], "vanilla", "token-mean", (0.2, 0.2, 2.0)),
    "cispo": (["algorithm=cispo"], "cispo", "token-mean", (1.0, 5.0, NO_DUAL_CLIP)),
    "cispo, both bounds": (
        ["algorithm=cispo", "algorithm.is_weight_min=0.5", "algorithm.is_weight_max=2"],
        "cispo",
        "token-mean",
        (0.5, 1.0, NO_DUAL_CLIP),
    ),
    "gspo": (["algorithm=gspo"], "gspo", "seq-mean-token-mean", (3e-4, 4e-4, NO_DUAL_CLIP)),
    "gmpo": (["algorithm=gmpo"], "geo_mean", "seq-mean-token-mean", (0.4, 0.4, NO_DUAL_CLIP)),
    "dr_grpo": (["algorithm=dr_grpo"], "vanilla", "seq-mean-token-sum-norm", (0.2, 0.2, NO_DUAL_CLIP)),
}


def verl_advantages(name: str, reward: torch.Tensor, mask: torch.Tensor, group: list[str], **options):
    """Advantages [B, L]; the reward stands on the last token."""
    rewards = torch.zeros(mask.shape)
    rewards[torch.arange(len(reward)), mask.sum(1) - 1] = reward
    given = {"token_level_rewards": rewards, "response_mask": mask, "index": np.array(group, dtype=object)}
    return get_adv_estimator_fn(name)(**given, config=SimpleNamespace(gamma=1.0), **options)[0]


def verl_loss(model, padded, *, name: str, aggregation: str, clips: tuple[float, float, float]):
    """Its loss of the batch, and the log-probabilities [B, L] that it is of."""
    low, high, c = clips
    actor = FSDPActorConfig(
        strategy="fsdp",
        rollout_n=4,
        use_dynamic_bsz=True,
        clip_ratio_low=low,
        clip_ratio_high=high,
        clip_ratio_c=c,
    )
    norm = aggregation == "seq-mean-token-sum-norm"
    if norm:
        actor.global_batch_info["loss_scale_factor"] = MAX_TOKENS
    mask = padded.completion_mask
    logp = plain_logprobs(model, padded)
    advantages = verl_advantages("grpo", padded.reward, mask, padded.group, norm_adv_by_std_in_grpo=not norm)
    loss, _ = get_policy_loss_fn(name)(
        old_log_prob=padded.old_logp,
        log_prob=logp,
        advantages=advantages,
        response_mask=mask,
        loss_agg_mode=aggregation,
        config=actor,
    )
    return loss, logp


@pytest.mark.parametrize(("overrides", "name", "aggregation", "clips"), STEPS.values(), ids=STEPS)
def test_a_step_is_verls(overrides: list[str], name: str, aggregation: str, clips: tuple):
    groups = off_policy_groups(VERDICTS)
    model = plain_model()
    loss, _ = verl_loss(model, padded_batch(groups), name=name, aggregation=aggregation, clips=clips)
    assert_same_step(rlvr_step(groups, overrides), loss, model)


def test_a_step_with_a_kl_term_is_verls():
    """verl's low_var_kl is the k3 estimate; rollouts without an advantage have a gradient too."""
    groups = off_policy_groups(VERDICTS)
    model, padded = plain_model(), padded_batch(groups)
    loss, logp = verl_loss(
        model, padded, name="vanilla", aggregation="token-mean", clips=(0.2, 0.2, NO_DUAL_CLIP)
    )
    with torch.no_grad():
        reference = plain_logprobs(moved(plain_model()), padded)
    divergence = agg_loss(kl_penalty(logp, reference, "low_var_kl"), padded.completion_mask, "token-mean")
    assert KL * divergence > 1e-3
    ours = rlvr_step(groups, ["algorithm=grpo", f"algorithm.kl_coefficient={KL}"], moved_policy())
    assert_same_step(ours, loss + KL * divergence, model)


ADVANTAGES = {
    "grpo": (["algorithm=grpo"], "grpo", {}),
    "dr_grpo": (["algorithm=dr_grpo"], "grpo", {"norm_adv_by_std_in_grpo": False}),
    "rloo": (["algorithm=rloo"], "rloo", {}),
    "reinforce++": (["algorithm=reinforce_plus_plus"], "reinforce_plus_plus", {}),
    "reinforce++ baseline": (
        ["algorithm=reinforce_plus_plus", "algorithm.baseline=group"],
        "reinforce_plus_plus_baseline",
        {},
    ),
}


@pytest.mark.parametrize(("overrides", "name", "options"), ADVANTAGES.values(), ids=ADVANTAGES)
def test_advantages_are_verls(overrides: list[str], name: str, options: dict):
    """Of one token each: verl's REINFORCE++ weighs a rollout's reward by its tokens, ours does not."""
    groups = make_groups(VERDICTS)
    padded = padded_batch(groups)
    mask = torch.ones(len(padded.reward), 1, dtype=torch.long)
    theirs = verl_advantages(name, padded.reward, mask, padded.group, **options)[:, 0]
    ours = make_batch(groups, load_config(overrides)).advantage_R
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert ours.max() > 0.3


def test_a_lone_rollout_has_its_reward_as_verls_advantage_and_none_here():
    groups = make_groups([[RIGHT], [RIGHT, WRONG]])
    padded = padded_batch(groups)
    theirs = verl_advantages("grpo", padded.reward, torch.ones(3, 1, dtype=torch.long), padded.group)
    ours = make_batch(groups, load_config(["algorithm=grpo"])).advantage_R
    assert (ours[0].item(), theirs[0].item()) == pytest.approx((0.0, 1.0), abs=2e-6)
    torch.testing.assert_close(ours[1:], theirs[1:, 0], rtol=1e-5, atol=1e-6)
