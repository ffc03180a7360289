"""The learning rate of every optimizer step, by hand and as transformers has it."""

import pytest
import torch
from torch import nn
from training_groups import RIGHT, WRONG, make_groups
from transformers import get_scheduler

from rlvr.config import load_config
from rlvr.config.schema import TrainingConfig
from rlvr.policy.policy import load_policy
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner
from rlvr.training.schedule import learning_rate


def rates(schedule: str, warmup: int, updates: int) -> list[float]:
    """Of so many optimizer steps of a training that has 3 steps of 2 each."""
    training = TrainingConfig(
        **{"steps": 3, "prompts_per_step": 8, "mini_batch_prompts": 4, "learning_rate": 0.8},
        **{"warmup_steps": warmup, "lr_scheduler_type": schedule},
    )
    return [learning_rate(done, training) for done in range(updates)]


@pytest.mark.parametrize(
    ("schedule", "warmup", "wanted"),
    [
        ("constant", 0, [0.8] * 8),
        ("constant", 4, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.8]),
        ("linear", 2, [0.4, 0.8, 0.8, 0.6, 0.4, 0.2, 0, 0]),
        # cosines of 0, 60, 120 degrees after a warm-up of 3; of 0 to 150 without one
        ("cosine", 3, [0.8 / 3, 1.6 / 3, 0.8, 0.8, 0.6, 0.2, 0, 0]),
        ("cosine", 0, [0.8, 0.4 + 0.2 * 3**0.5, 0.6, 0.4, 0.2, 0.4 - 0.2 * 3**0.5, 0, 0]),
    ],
)
def test_the_rate_of_every_optimizer_step_by_hand(schedule: str, warmup: int, wanted: list[float]):
    assert rates(schedule, warmup, 8) == pytest.approx(wanted)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_without_a_warm_up_the_rates_are_those_of_transformers(schedule: str):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.8)
    theirs = get_scheduler(schedule, optimizer, num_warmup_steps=0, num_training_steps=6)
    for ours in rates(schedule, 0, 6):
        assert ours == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_the_learner_takes_and_logs_the_rate_of_the_schedule():
    """Two steps of two optimizer steps, the first of them a warm-up: rates 0.8, 0.8, 0.8 * 2/3, 0.8 / 3."""
    config = load_config(
        [
            *("training.steps=2", "training.prompts_per_step=2", "training.mini_batch_prompts=1"),
            *("training.warmup_steps=1", "training.learning_rate=8e-4", "training.lr_scheduler_type=linear"),
        ]
    )
    learner, taken = Learner(load_policy("embedded"), config), []
    learner.optimizer.register_step_pre_hook(
        lambda optimizer, *_: taken.append(optimizer.param_groups[0]["lr"])
    )
    groups = make_groups([[RIGHT, WRONG], [WRONG, RIGHT]])
    logged = [learner.update(make_batch(groups, config))["update/learning_rate"] for _ in range(2)]
    assert taken == pytest.approx([8e-4, 8e-4, 8e-4 * 2 / 3, 8e-4 / 3])
    assert logged == [taken[1], taken[3]]
