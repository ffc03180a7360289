"""Steps and advantages of rlvr against TRL's GRPOTrainer on one batch.

The trainer is TRL's own, with the embedded policy as transformers loads it. It is given rollouts and rewards
in the place of sampling, makes its batch of them, and computes the loss; rlvr's side is the learner as a run
has it.
"""

from pathlib import Path

import pytest
import torch

pytest.importorskip("trl")
from datasets import Dataset
from padded_batch import (
    MAX_TOKENS,
    assert_same_step,
    moved,
    moved_policy,
    off_policy_groups,
    padded_batch,
    rlvr_step,
)
from training_groups import RIGHT, WRONG
from transformers import PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer

from rlvr.config import load_config
from rlvr.data import Group
from rlvr.policy.location import EMBEDDED
from rlvr.training.batch import make_batch

pytestmark = pytest.mark.parity

# TRL's groups have one size; the second has no signal and counts in the normaliser
VERDICTS = [[RIGHT, WRONG, WRONG, RIGHT], [RIGHT] * 4, [WRONG, WRONG, RIGHT, WRONG]]
EPS = ["algorithm.advantage_eps=1e-4"]  # TRL's


def trl_batch(groups: list[Group], folder: Path, **settings) -> tuple[GRPOTrainer, dict[str, torch.Tensor]]:
    """The trainer before its first step, and its batch, in which old log-probabilities are those given.

    The reference model of a KL term (beta above 0) is `padded_batch.moved`.
    """
    rollouts = [(group, completion) for group in groups for completion in group.completions]
    padded = padded_batch(groups)
    prompts = [{"prompt": group.problem.id} for group in groups]
    trainer = GRPOTrainer(
        model=str(EMBEDDED),
        processing_class=PreTrainedTokenizerFast.from_pretrained(EMBEDDED),
        reward_funcs=lambda completions, **_: padded.reward.tolist(),
        rollout_func=lambda *_: {
            "prompt_ids": [group.prompt_ids for group, _ in rollouts],
            "completion_ids": [completion.token_ids for _, completion in rollouts],
            "logprobs": None,
        },
        train_dataset=Dataset.from_list(prompts),
        args=GRPOConfig(
            output_dir=str(folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            num_generations=4,
            per_device_train_batch_size=len(rollouts),
            max_completion_length=MAX_TOKENS,
            model_init_kwargs={"dtype": "float32"},
            **settings,
        ),
    )
    if trainer.ref_model is not None:
        moved(trainer.ref_model)
    trainer.current_gradient_accumulation_steps = 1  # set by train()
    trainer.model.train()
    inputs = trainer._generate_and_score_completions([prompt for prompt in prompts for _ in range(4)])
    inputs["old_per_token_logps"] = padded.old_logp
    return trainer, inputs


# what rlvr is told, and TRL
STEPS = {
    "bnpo": (["algorithm=grpo"], {"loss_type": "bnpo"}),
    "dapo": (["algorithm=dapo"], {"loss_type": "dapo", "epsilon_high": 0.28}),
    "delta": (
        ["algorithm=dapo", "algorithm.dual_clip=2"],
        {"loss_type": "dapo", "epsilon_high": 0.28, "delta": 2},
    ),
    "cispo": (["algorithm=cispo"], {"loss_type": "cispo", "epsilon_high": 6.0}),
    "grpo": (["algorithm=grpo", "algorithm.aggregation=sequence_mean"], {"loss_type": "grpo"}),
    "gspo": (
        ["algorithm=gspo"],
        {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "epsilon": 3e-4,
            "epsilon_high": 4e-4,
        },
    ),
    "dr_grpo": (["algorithm=dr_grpo"], {"loss_type": "dr_grpo", "scale_rewards": "none"}),
}


@pytest.mark.parametrize(("overrides", "settings"), STEPS.values(), ids=STEPS)
def test_a_step_is_trls(overrides: list[str], settings: dict, tmp_path: Path):
    groups = off_policy_groups(VERDICTS)
    trainer, inputs = trl_batch(groups, tmp_path, beta=0.0, **settings)
    loss = trainer.compute_loss(trainer.model, inputs)
    assert_same_step(rlvr_step(groups, [*overrides, *EPS]), loss, trainer.model)


def test_a_step_with_a_kl_term_is_trls(tmp_path: Path):
    """Without the importance weight that TRL multiplies the k3 estimate with by default."""
    groups = off_policy_groups(VERDICTS)
    settings = {"beta": 0.05, "use_bias_correction_kl": False, "loss_type": "dapo"}
    trainer, inputs = trl_batch(groups, tmp_path, **settings)
    loss = trainer.compute_loss(trainer.model, inputs)
    ours = rlvr_step(groups, ["algorithm=grpo", "algorithm.kl_coefficient=0.05", *EPS], moved_policy())
    assert_same_step(ours, loss, trainer.model)


@pytest.mark.parametrize("scale", ["group", "none"])
def test_advantages_are_trls(scale: str, tmp_path: Path):
    groups = off_policy_groups(VERDICTS)
    _, inputs = trl_batch(groups, tmp_path, beta=0.0, scale_rewards=scale)
    overrides = ["algorithm=grpo" if scale == "group" else "algorithm=dr_grpo", *EPS]
    ours = make_batch(groups, load_config(overrides)).advantage_R
    torch.testing.assert_close(ours, inputs["advantages"], rtol=1e-5, atol=1e-6)
    assert ours.max() > 0.3
