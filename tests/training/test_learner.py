"""The learner's gradients against plain ones: one sequence at a time, nothing dropped, nothing packed."""

import copy
import math
import random
from pathlib import Path

import pytest
import torch
from training_groups import RIGHT, WRONG, make_groups
from transformers import PreTrainedModel

from rlvr.config import Config, load_config
from rlvr.data import Group
from rlvr.errors import UserError
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.training.batch import make_batch, token_weights
from rlvr.training.learner import Learner

ONE_UPDATE = ["training.prompts_per_step=5", "training.mini_batch_prompts=5", "training.gradient_clip=1e9"]


def learner_gradients(policy: Policy, groups: list[Group], config: Config) -> list[list[torch.Tensor]]:
    """Gradients of every parameter at every optimizer step of one batch."""
    learner = Learner(policy, config)
    steps: list[list[torch.Tensor]] = []
    learner.optimizer.register_step_pre_hook(
        lambda *_: steps.append([parameter.grad.clone() for parameter in policy.model.parameters()])
    )
    learner.update(make_batch(groups, config))
    return steps


def plain_gradients(
    policy: Policy, groups: list[Group], config: Config, *, temperature: float = 1.0
) -> list[torch.Tensor]:
    """The policy gradient at ratio 1, written out: - sum_t weight A grad log p / counted tokens."""
    batch = make_batch(groups, config)
    policy.model.set_attn_implementation("eager")
    policy.model.zero_grad()
    loss, tokens, index = torch.zeros(()), 0, 0
    for group in groups:
        counted = [c for i, c in enumerate(group.completions, index) if batch.counted_R[i]]
        weights = iter(token_weights(counted, config.credit.name))
        for completion in group.completions:
            ids = completion.token_ids
            if batch.counted_R[index]:
                logits = policy.model(torch.tensor([group.prompt_ids + ids])).logits[
                    0, len(group.prompt_ids) - 1 : -1
                ]
                logp = (logits / temperature).log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]
                loss = loss - (next(weights) * batch.advantage_R[index] * logp).sum()
                tokens += len(ids)
            index += 1
    (loss / tokens).backward()
    return [parameter.grad.clone() for parameter in policy.model.parameters()]


def assert_same(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def differ(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return any((one - other).abs().max() > 1e-4 for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm=grpo"],
        ["algorithm=grpo", "advantage_scaling=focal"],
        ["algorithm=cispo", "credit=process_lambda"],
        ["algorithm=grpo", "algorithm.normalize_std=false"],
    ],
    ids=["grpo", "focal", "cispo with process sets", "no std"],
)
def test_gradients_equal_the_plain_ones(policy: Policy, groups: list[Group], overrides: list[str]):
    config = load_config([*ONE_UPDATE, *overrides])
    (ours,) = learner_gradients(policy, groups, config)
    assert_same(ours, plain_gradients(load_policy("embedded"), groups, config))


def test_micro_batches_do_not_change_the_gradient(groups: list[Group]):
    whole, split = (
        learner_gradients(
            load_policy("embedded"),
            groups,
            load_config([*ONE_UPDATE, f"training.max_tokens_per_micro_batch={budget}"]),
        )
        for budget in (100_000, 12)
    )
    assert_same(whole[0], split[0])


def test_a_second_pass_is_that_of_a_batch_which_has_everything_twice(groups: list[Group]):
    """All old log-probabilities are of before the first step, and a pass has its mini-batches in order."""
    once, gradients = groups[:4], []
    for passes, batch in [(2, once), (1, once * 2)]:
        config = load_config(
            [
                *("training.mini_batch_prompts=2", f"training.prompts_per_step={len(batch)}"),
                *(f"training.num_iterations={passes}", "training.learning_rate=1e-3"),
            ]
        )
        gradients.append(learner_gradients(load_policy("embedded"), batch, config))
    assert len(gradients[0]) == len(gradients[1]) == 4
    for ours, theirs in zip(*gradients, strict=True):
        assert_same(ours, theirs)
    assert differ(gradients[0][0], gradients[0][2])


def test_the_order_of_rollouts_and_groups_does_not_matter(groups: list[Group]):
    config = load_config(ONE_UPDATE)
    straight = learner_gradients(load_policy("embedded"), groups, config)
    rng = random.Random(0)
    for group in groups:
        order = rng.sample(range(len(group.completions)), len(group.completions))
        group.completions = [group.completions[i] for i in order]
        group.verdicts = [group.verdicts[i] for i in order]
    shuffled = learner_gradients(load_policy("embedded"), groups[::-1], config)
    assert_same(straight[0], shuffled[0])


def test_groups_without_signal_still_count_in_the_normaliser(groups: list[Group]):
    config = load_config(ONE_UPDATE)
    with_all = learner_gradients(load_policy("embedded"), groups, config)
    mixed = [groups[0], groups[3], groups[4]]
    without = learner_gradients(
        load_policy("embedded"), mixed, load_config([*ONE_UPDATE, "training.mini_batch_prompts=5"])
    )

    def counted(of: list[Group]) -> int:
        return sum(
            len(c.token_ids)
            for group in of
            for c, verdict in zip(group.completions, group.verdicts, strict=True)
            if verdict in (RIGHT, WRONG)
        )

    scale = counted(mixed) / counted(groups)
    assert_same(with_all[0], [gradient * scale for gradient in without[0]])


@pytest.mark.parametrize(
    ("loss", "all_rollouts"), [("grpo", False), ("clip_cov", True), ("kl_cov", True), ("high_entropy", True)]
)
def test_means_and_shares_are_of_all_tokens(groups: list[Group], loss: str, all_rollouts: bool):
    """Two of the five groups have no signal; before, they were missing in what Clip-Cov's mean is of."""
    config = load_config([*ONE_UPDATE, f"algorithm={loss}"])
    learner = Learner(load_policy("embedded"), config)
    seen, of_config = [], learner.loss
    learner.loss = lambda tokens: seen.append(tokens.advantages) or of_config(tokens)
    batch = make_batch(groups, config)
    learner.update(batch)
    counted = [c for group in range(len(groups)) for c in batch.counted(group)]
    kept = [c for i, c in counted if all_rollouts or batch.advantage_R[i]]
    assert [len(advantages) for advantages in seen] == [sum(len(c.token_ids) for c in kept)]
    assert len(kept) < len(counted) or all_rollouts


def test_gamma_zero_is_no_scaling(groups: list[Group]):
    none, zero = (
        learner_gradients(load_policy("embedded"), groups, load_config([*ONE_UPDATE, *overrides]))
        for overrides in ([], ["advantage_scaling=focal", "advantage_scaling.gamma=0"])
    )
    for one, other in zip(none[0], zero[0], strict=True):
        assert torch.equal(one, other)


def test_with_one_update_all_algorithms_have_one_gradient_and_with_more_they_part():
    """The second of two updates is off-policy: a large step makes ratios leave every clip range."""
    groups = make_groups([[RIGHT, WRONG, WRONG, RIGHT]] * 4, seed=5)
    settings = [
        "training.prompts_per_step=4",
        "training.mini_batch_prompts=2",
        "training.learning_rate=3e-3",
        "training.gradient_clip=1e9",
    ]
    grpo, dapo, cispo = (
        learner_gradients(load_policy("embedded"), groups, load_config([*settings, f"algorithm={name}"]))
        for name in ("grpo", "dapo", "cispo")
    )

    assert_same(grpo[0], dapo[0])
    assert_same(grpo[0], cispo[0])
    assert differ(grpo[1], dapo[1])
    assert differ(grpo[1], cispo[1])
    assert differ(dapo[1], cispo[1])


def test_a_batch_without_any_signal_leaves_gradients_at_zero():
    groups = make_groups([[RIGHT, RIGHT], [WRONG, WRONG, WRONG]])
    config = load_config(["training.prompts_per_step=2", "training.mini_batch_prompts=2"])
    learner = Learner(load_policy("embedded"), config)
    metrics = learner.update(make_batch(groups, config))

    assert metrics["update/gradient_norm"] == 0.0
    assert metrics["tokens/trained"] == 0.0


def test_the_kl_term_pulls_back_only_once_the_policy_has_moved(groups: list[Group]):
    settings = ["training.prompts_per_step=5", "training.mini_batch_prompts=5", "training.learning_rate=1e-3"]
    plain, pulled = (
        Learner(load_policy("embedded"), load_config([*settings, f"algorithm.kl_coefficient={beta}"]))
        for beta in (0.0, 0.5)
    )
    firsts, seconds = [], []
    for learner in (plain, pulled):
        config = load_config(settings)
        recorded: list[list[torch.Tensor]] = []
        parameters = list(learner.policy.model.parameters())
        learner.optimizer.register_step_pre_hook(
            lambda *_, recorded=recorded, parameters=parameters: recorded.append(
                [p.grad.clone() for p in parameters]
            )
        )
        learner.update(make_batch(groups, config))
        learner.update(make_batch(groups, config))
        firsts.append(recorded[0])
        seconds.append(recorded[1])

    assert_same(firsts[0], firsts[1])
    assert differ(seconds[0], seconds[1])


def test_the_entropy_bonus_raises_entropy():
    groups = make_groups([[RIGHT, RIGHT]] * 2, seed=2)
    config = load_config(
        [
            "algorithm.entropy_coefficient=1.0",
            "training.prompts_per_step=2",
            "training.mini_batch_prompts=2",
            "training.learning_rate=1e-3",
        ]
    )
    learner = Learner(load_policy("embedded"), config)
    entropies = [learner.update(make_batch(groups, config))["update/entropy_trained"] for _ in range(4)]
    assert entropies == sorted(entropies)
    assert entropies[-1] > entropies[0] + 0.05


def test_a_sequence_mean_by_hand(groups: list[Group]):
    """On-policy, GSPO's gradient is that of each rollout's mean log-probability, over counted rollouts."""
    config = load_config([*ONE_UPDATE, "algorithm=gspo"])
    (ours,) = learner_gradients(load_policy("embedded"), groups, config)
    policy, batch = load_policy("embedded"), make_batch(groups, config)
    policy.model.set_attn_implementation("eager")
    completions = [(group.prompt_ids, c.token_ids) for group in groups for c in group.completions]
    loss = torch.zeros(())
    for (prompt, ids), advantage, counted in zip(
        completions, batch.advantage_R, batch.counted_R, strict=True
    ):
        if counted:
            logits = policy.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
            logp = logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]
            loss = loss - advantage * logp.mean()
    (loss / int(batch.counted_R.sum())).backward()
    assert_same(ours, [parameter.grad for parameter in policy.model.parameters()])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_without_a_finite_gradient_changes_nothing_and_is_counted(
    groups: list[Group], bad: float, tmp_path: Path
):
    config = load_config([*ONE_UPDATE, "training.max_skipped_steps=2"])
    learner = Learner(load_policy("embedded"), config)
    before = [parameter.detach().clone() for parameter in learner.policy.model.parameters()]
    batch = make_batch(groups, config)
    batch.advantage_R[0] = bad

    metrics = learner.update(batch)
    assert (metrics["update/skipped_steps"], metrics["update/steps"]) == (1.0, 0.0)
    assert all(map(math.isfinite, metrics.values()))  # what a skipped step told is no number
    for parameter, weights in zip(learner.policy.model.parameters(), before, strict=True):
        assert torch.equal(parameter, weights)
    with pytest.raises(UserError, match=r"in 2 optimizer steps in a row, .* training\.max_skipped_steps=4"):
        learner.update(batch)

    learner.unsound = 1
    resumed = Learner(load_policy("embedded"), config)
    resumed.load_state_dict(learner.state_dict(tmp_path), tmp_path)
    assert resumed.unsound == 1
    assert learner.update(make_batch(groups, config))["update/steps"] == 1.0
    assert learner.unsound == 0


def test_log_probabilities_are_those_of_the_temperature_that_was_sampled_at(
    policy: Policy, groups: list[Group]
):
    settings = [*ONE_UPDATE, "training.sampling.temperature=0.75"]
    ours = learner_gradients(load_policy("embedded"), groups, load_config(settings))[0]
    plain = load_config(ONE_UPDATE)
    assert_same(ours, plain_gradients(policy, groups, plain, temperature=0.75))
    assert differ(ours, plain_gradients(policy, groups, plain))


def test_the_engines_log_probabilities_are_the_old_ones_from_the_first_mini_batch_on(groups: list[Group]):
    """make_groups says that the engine sampled every token with probability 1/e."""
    config = load_config([*ONE_UPDATE, "algorithm.old_logprobs=engine", "algorithm.clip_high=1e9"])
    learner = Learner(load_policy("embedded"), config)
    metrics = learner.update(make_batch(groups, config))
    trainer = Learner(load_policy("embedded"), load_config(ONE_UPDATE)).update(make_batch(groups, config))
    assert metrics["mismatch/log_ratio_max"] == trainer["update/log_ratio_max"] == 0
    assert metrics["update/log_ratio_mean"] == pytest.approx(trainer["mismatch/log_ratio_mean"])


def test_masked_rollouts_are_counted_and_have_no_gradient(groups: list[Group]):
    """The policy gives random tokens much less than 1/e each, so that all rollouts are below the floor."""
    mask = ["algorithm.mismatch_cap=2", "algorithm.mismatch_weights=sequence_mask"]
    config = load_config([*ONE_UPDATE, *mask, "algorithm.mismatch_floor=0.9"])
    learner = Learner(load_policy("embedded"), config)
    metrics = learner.update(make_batch(groups, config))
    assert metrics["mismatch/cut"] == 1
    assert metrics["update/gradient_norm"] == 0


def test_without_signal_adamw_stands_still_or_steps_with_zeros(groups: list[Group]):
    """As torch's own AdamW with gradients of zero, after one step with a signal."""
    nothing = make_groups([[RIGHT, RIGHT], [WRONG, WRONG]])
    after = {}
    for choice in ("skip", "step"):
        config = load_config(
            [
                *ONE_UPDATE,
                f"training.without_signal={choice}",
                "training.learning_rate=1e-3",
                "training.warmup_steps=0",
            ]
        )
        learner = Learner(load_policy("embedded"), config)
        learner.update(make_batch(groups, config))
        before = [parameter.detach().clone() for parameter in learner.policy.model.parameters()]
        state = copy.deepcopy(learner.optimizer.state_dict())
        metrics = learner.update(make_batch(nothing, config))
        assert (metrics["update/gradient_norm"], learner.updates) == (0, 2)
        after[choice] = list(learner.policy.model.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after["skip"], strict=True))
    for parameter in before:
        parameter.grad = torch.zeros_like(parameter)
    plain = torch.optim.AdamW(before)
    plain.load_state_dict(state)
    plain.step()
    assert_same(after["step"], before)
    assert differ(after["step"], after["skip"])


def test_log_probabilities_before_the_update_have_no_dropout():
    """The engine's are those of the same weights, so that nothing lies between it and the trainer."""
    settings = [*ONE_UPDATE, "adapter=lora", "adapter.dropout=0.5", "algorithm.mismatch_cap=2"]
    config = load_config(settings)

    def adapt(model: PreTrainedModel) -> Adapter:
        adapter = Adapter(model, config.adapter, path="embedded", seed=1)
        for name, weight in trained(model).items():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
        return adapter

    policy = load_policy("embedded", adapt=adapt)
    groups = make_groups([[RIGHT, WRONG, WRONG]])
    tree = PrefixTree.build([groups[0].prompt_ids], [[c.token_ids for c in groups[0].completions]])
    with torch.no_grad():
        logprobs = iter(policy.logprobs(tree)[0].tolist())
    for completion in groups[0].completions:
        completion.logprobs = [next(logprobs) for _ in completion.token_ids]
    metrics = Learner(policy, config).update(make_batch(groups, config))
    assert metrics["mismatch/log_ratio_max"] == pytest.approx(0, abs=1e-5)
    assert metrics["update/log_ratio_max"] > 0.01  # what the gradient's own forward drops


def test_dropout_of_an_adapter_is_drawn_anew_by_every_rank(monkeypatch: pytest.MonkeyPatch):
    """Ranks have tokens of their own, so that together they drop as one process would."""
    config = load_config(["algorithm=grpo", *ONE_UPDATE, "adapter=lora", "adapter.dropout=0.5"])
    groups = make_groups([[RIGHT, WRONG, WRONG]])
    monkeypatch.setenv("WORLD_SIZE", "2")

    def gradients_of(rank: int) -> list[torch.Tensor]:
        monkeypatch.setenv("RANK", str(rank))

        def adapt(model: PreTrainedModel) -> Adapter:
            return Adapter(model, config.adapter, path="embedded", seed=1)

        learner = Learner(load_policy("embedded", adapt=adapt), config)
        found: list[torch.Tensor] = []
        learner.optimizer.register_step_pre_hook(
            lambda *_: found.extend(p.grad.clone() for p in trained(learner.policy.model).values())
        )
        learner.update(make_batch(groups, config))
        return found

    assert_same(gradients_of(0), gradients_of(0))
    assert differ(gradients_of(0), gradients_of(1))
