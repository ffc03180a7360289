"""FLOPs against hand counts, and against the passes that engine and learner really make."""

import copy

import pytest
import torch
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import ModelConfig, load_config
from rlvr.config.schema import LoRAConfig
from rlvr.data import Group
from rlvr.policy.adapter import Adapter
from rlvr.policy.architecture import architecture_of
from rlvr.policy.policy import Policy, load_policy
from rlvr.training.batch import make_batch
from rlvr.training.flops import (
    compute_metrics,
    frozen_count,
    parameter_count,
    sampled_flops,
    update_flops,
)
from rlvr.training.learner import Learner


def config_of(*overrides: str):
    return load_config(["training.prompts_per_step=2", "training.mini_batch_prompts=2", *overrides])


def tokens(group: Group) -> int:
    return len(group.prompt_ids) + sum(len(completion.token_ids) - 1 for completion in group.completions)


def test_parameters_of_the_embedded_policy(frozen_policy: Policy):
    """Its head is its input embedding; without the tie that embedding is looked up, not multiplied."""
    tied = frozen_policy.model
    config = copy.deepcopy(tied.config)
    config.tie_word_embeddings = False
    untied = type(tied)(config)
    everything = sum(weight.numel() for weight in tied.parameters())
    assert parameter_count(tied) == parameter_count(untied) == everything


def test_a_step_by_hand():
    """A group with signal and one without: both are sampled, one is trained on."""
    groups = make_groups([[RIGHT, WRONG], [WRONG, WRONG]])
    thrown_away = make_groups([[RIGHT, RIGHT]], seed=1)
    batch = make_batch(groups, config_of())
    metrics = compute_metrics(10, [*groups, *thrown_away], batch, config_of())

    assert metrics["compute/flops_generated"] == 2 * 10 * sum(map(tokens, [*groups, *thrown_away]))
    assert metrics["compute/flops_trained"] == 6 * 10 * tokens(groups[0])
    sampling = metrics["compute/flops_generated"]
    assert metrics["compute/flops_undropped"] == sampling + 60 * sum(map(tokens, groups))
    assert metrics["compute/flops"] == 2 * 10 * sum(map(tokens, [*groups, *thrown_away])) + 60 * tokens(
        groups[0]
    )


def test_a_frozen_parameter_has_no_gradient_to_compute():
    """An adapter of 2 x (3 + 5) numbers around a layer of 3 x 5."""
    batch = make_batch(make_groups([[RIGHT, WRONG], [WRONG, WRONG]]), config_of())
    flops = update_flops(15 + 16, batch, config_of(), frozen=15)
    assert flops == (6 * 16 + 4 * 15) * tokens(batch.groups[0])


def test_trained_and_frozen_parameters_of_an_adapter():
    policy = load_policy("embedded")
    everything = parameter_count(policy.model)
    assert frozen_count(policy.model) == 0
    Adapter(policy.model, LoRAConfig(rank=2), path="embedded", seed=0)
    assert frozen_count(policy.model) == everything
    shape = architecture_of(ModelConfig(path="embedded"))
    assert parameter_count(policy.model) == everything + shape.adapter_parameters(2)


def test_later_mini_batches_and_the_reference_take_a_forward_pass_each():
    groups = make_groups([[RIGHT, WRONG], [RIGHT, WRONG]])
    one, two = tokens(groups[0]), tokens(groups[1])

    def flops(*overrides: str) -> float:
        config = config_of("training.mini_batch_prompts=1", *overrides)
        return update_flops(1, make_batch(groups, config), config)

    assert flops() == 6 * one + 8 * two
    assert flops("algorithm.old_logprobs=engine") == 6 * one + 6 * two
    assert flops("algorithm.kl_coefficient=0.1") == 8 * one + 10 * two


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("algorithm.kl_coefficient=0.1",),
        ("algorithm.old_logprobs=engine",),
        ("training.num_iterations=3", "training.learning_rate=1e-9"),
    ],
)
def test_the_count_is_what_the_learner_does(
    policy: Policy, groups: list[Group], overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    """Positions that go through any model, forward only and forward with backward, where rollouts share
    no beginning (the count is of rollouts, whatever they share)."""
    for group in groups:
        for i, completion in enumerate(group.completions):
            completion.token_ids[0] = 10 + i
    config = load_config(["training.prompts_per_step=6", "training.mini_batch_prompts=2", *overrides])
    learner = Learner(policy, config)
    seen = {True: 0, False: 0}
    hidden = Policy.hidden

    def counting(self, tokens_T, positions_T, layout):
        seen[torch.is_grad_enabled()] += len(tokens_T)
        return hidden(self, tokens_T, positions_T, layout)

    monkeypatch.setattr(Policy, "hidden", counting)
    batch = make_batch(groups, config)
    learner.update(batch)

    assert seen[True] > 0
    assert update_flops(1, batch, config) == 6 * seen[True] + 2 * seen[False]


def test_sampling_counts_each_prompt_once():
    (group,) = make_groups([[RIGHT, WRONG, WRONG]])
    group.prompt_ids = [5] * 10
    for completion, length in zip(group.completions, (3, 1, 7), strict=True):
        completion.token_ids = [5] * length
    assert sampled_flops(1, [group]) == 2 * (10 + 2 + 0 + 6)
