import math
from dataclasses import replace

import pytest
import torch
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.data import Completion, Group, Verdict
from rlvr.training.batch import (
    batch_metrics,
    correctness,
    engine_logprobs,
    make_batch,
    signal,
    token_weights,
)
from rlvr.training.loop import is_mixed

NAN = math.nan


def test_correctness_by_verdict():
    verdicts = [list(Verdict)]
    expected = {"correct": 1.0, "wrong": 0.0, "no_answer": 0.0, "truncated": 0.0}
    wanted = torch.tensor([expected.get(verdict, NAN) for verdict in Verdict])

    torch.testing.assert_close(correctness(make_groups(verdicts)), wanted, equal_nan=True)
    masked = correctness(make_groups(verdicts), truncated="masked")
    assert math.isnan(masked[list(Verdict).index(Verdict.TRUNCATED)])


def test_focal_advantages_by_hand():
    """One of four right: mean 1/4, std (ddof 1) 1/2, so 1.5 and -0.5; gamma .5 multiplies by sqrt(3/4)."""
    config = load_config(["advantage_scaling=focal", "algorithm.advantage_eps=0"])
    batch = make_batch(make_groups([[RIGHT, WRONG, WRONG, WRONG], [RIGHT, RIGHT]]), config)

    weight = math.sqrt(0.75)
    torch.testing.assert_close(batch.advantage_R, torch.tensor([1.5, -0.5, -0.5, -0.5, 0, 0]) * weight)
    torch.testing.assert_close(batch.focal_R, torch.tensor([weight] * 4 + [0.0] * 2))


def test_an_unscorable_rollout_is_left_out_of_mean_std_and_success_rate():
    config = load_config(
        ["advantage_scaling=focal", "advantage_scaling.gamma=1", "algorithm.advantage_eps=0"]
    )
    batch = make_batch(make_groups([[RIGHT, LOST, WRONG, WRONG]]), config)

    # of three: mean 1/3, std sqrt(1/3), so 2/sqrt(3) and -1/sqrt(3); times 1 - 1/3
    torch.testing.assert_close(batch.advantage_R, torch.tensor([2.0, 0.0, -1.0, -1.0]) / math.sqrt(3) * 2 / 3)
    assert batch.counted_R.tolist() == [True, False, True, True]


def test_the_overlong_penalty_shapes_rewards_but_not_the_success_rate():
    config = load_config(
        [
            "advantage_scaling=focal",
            "algorithm.overlong_penalty.buffer=4",
            "training.sampling.max_tokens=8",
        ]
    )
    groups = make_groups([[RIGHT, WRONG]])
    groups[0].completions = [
        Completion([5] * 6, [0.0] * 6, "", "stop", 0),
        Completion([5] * 2, [0.0] * 2, "", "stop", 0),
    ]
    batch = make_batch(groups, config)

    torch.testing.assert_close(batch.reward_R, torch.tensor([0.5, 0.0]))
    torch.testing.assert_close(batch.focal_R, torch.tensor([0.5, 0.5]).sqrt())


def test_differential_smoothing_gives_a_group_of_right_answers_a_signal():
    """Log-probabilities -1 and -3 taken off at .1: rewards 1.1 and 1.3, advantages -+1/sqrt(2)."""
    groups = make_groups([[RIGHT, RIGHT]])
    for completion, logprob in zip(groups[0].completions, (-1.0, -3.0), strict=True):
        completion.logprobs = [logprob / len(completion.token_ids)] * len(completion.token_ids)
    config = load_config(
        ["algorithm=ds_grpo", "algorithm.differential_smoothing.correct=0.1", "algorithm.advantage_eps=0"]
    )
    batch = make_batch(groups, config)
    torch.testing.assert_close(batch.reward_R, torch.tensor([1.1, 1.3]))
    torch.testing.assert_close(batch.advantage_R, torch.tensor([-1.0, 1.0]) / math.sqrt(2))


def test_process_weights_are_one_over_how_many_share_the_token():
    completions = [Completion(ids, [0.0] * len(ids), "", "stop", 0) for ids in ([7, 8, 9], [7, 8], [7, 5])]
    weights = token_weights(completions, "process_lambda")

    torch.testing.assert_close(torch.cat(weights), torch.tensor([1 / 3, 1 / 2, 1, 1 / 3, 1 / 2, 1 / 3, 1]))
    assert torch.equal(torch.cat(token_weights(completions, "outcome")), torch.ones(7))


def test_log_probabilities_are_rounded_as_torch_rounds_them():
    """Halves of the last digit, numbers too small for float32 but for its subnormals, no tokens at all."""
    rows = [[], [-0.1, -0.0, -1 - 2**-24, -1 - 3 * 2**-24], [], [-1e-45, -1e-46, -math.inf], [-0.3] * 50]
    completions = [Completion([5] * len(row), row, "", "stop", 0) for row in rows]
    expected = torch.tensor([value for row in rows for value in row])
    assert engine_logprobs(completions).view(torch.int32).equal(expected.view(torch.int32))
    nothing = engine_logprobs(completions[:1])
    assert nothing.shape == (0,) and nothing.dtype == torch.float32


def test_metrics_count_groups_and_verdicts(groups: list[Group]):
    metrics = batch_metrics(make_batch(groups, load_config()))

    assert metrics["groups/mixed"] == pytest.approx(3 / 5)
    assert metrics["groups/all_right"] == metrics["groups/all_wrong"] == pytest.approx(1 / 5)
    assert metrics["groups/without_signal"] == pytest.approx(2 / 5)
    assert metrics["reward/success_rate"] == pytest.approx(9 / 17)
    assert metrics["verdict/timeout"] == pytest.approx(1 / 18)
    assert metrics["policy/entropy"] == pytest.approx(1.0)
    assert metrics["focal/weight_mean"] == 1.0


def test_the_trees_of_a_step_by_hand():
    """The rollouts of one group share the first of two tokens; those of the other share nothing."""
    groups = make_groups([[RIGHT, WRONG], [RIGHT, WRONG]])
    for group, rows in zip(groups, ([[7, 8], [7, 9]], [[1, 2, 3], [4]]), strict=True):
        group.completions = [Completion(ids, [-1.0] * len(ids), "", "stop", 0) for ids in rows]
    metrics = batch_metrics(make_batch(groups, load_config()))

    assert metrics["process_tree/flat"] == 0.5
    assert metrics["process_tree/path_depth"] == (2 + 1) / 2
    assert metrics["process_tree/shared_tokens"] == (0.5 + 0) / 2


def test_a_group_that_cannot_be_judged_is_neither_right_nor_wrong():
    """Of four groups one each is mixed, all right (of the two that count), all wrong and without verdict."""
    groups = make_groups([[RIGHT, WRONG, WRONG], [RIGHT, LOST, RIGHT], [WRONG, LOST], [LOST, LOST]])
    metrics = batch_metrics(make_batch(groups, load_config()))
    shares = {name: metrics[f"groups/{name}"] for name in ("mixed", "all_right", "all_wrong", "unscorable")}
    assert shares == dict.fromkeys(shares, 0.25)
    assert metrics["reward/success_rate"] == metrics["reward/mean"] == pytest.approx(3 / 6)

    nothing = batch_metrics(make_batch(make_groups([[LOST, LOST]]), load_config()))
    assert nothing["groups/unscorable"] == 1
    assert nothing["groups/all_right"] == nothing["groups/all_wrong"] == nothing["groups/mixed"] == 0
    assert not {"reward/mean", "reward/success_rate"} & nothing.keys()
    assert all(map(math.isfinite, nothing.values()))


def test_a_group_that_is_all_wrong_has_advantages_by_length_and_is_not_mixed():
    """The overlong penalty, science's example: four wrong answers of 6, 9, 12 and 15 tokens."""
    groups = make_groups([[WRONG] * 4, [RIGHT, WRONG], [RIGHT, LOST]])
    groups[0].completions = [Completion([5] * n, [0.0] * n, "", "stop", 0) for n in (6, 9, 12, 15)]
    settings = ["algorithm.overlong_penalty.buffer=8", "training.sampling.max_tokens=16"]
    batch = make_batch(groups, load_config(settings))
    assert signal(batch)[0]
    assert is_mixed(batch) == [False, True, False]


def test_groups_of_a_round_without_a_graded_rollout_have_no_parts():
    """Dynamic sampling may join them to groups that have some."""
    config = load_config(["reward=python", "reward.function=mine.py:parts@0123"])
    groups = make_groups([[LOST, LOST], [RIGHT, WRONG]])
    groups[0].rewards = [NAN, NAN]
    groups[1].rewards, groups[1].reward_parts = [1.0, 0.5], {"right": [1.0, 0.0], "short": [NAN, NAN]}
    metrics = batch_metrics(make_batch(groups, config))
    assert metrics["reward/part/right"] == 0.5
    assert "reward/part/short" not in metrics  # NaN would be no JSON


def test_each_source_has_its_mean_reward_where_there_are_several():
    """Of a: 1 of 4; of b: 2 of 2, the lost one left out; of c nothing can be judged. Together 3 of 6."""
    groups = make_groups([[RIGHT, WRONG], [RIGHT, RIGHT, LOST], [WRONG, WRONG], [LOST, LOST]])
    for group, source in zip(groups, "abac", strict=True):
        group.problem = replace(group.problem, source=source)
    config = load_config([])
    metrics = batch_metrics(make_batch(groups, config))
    of_each = {name: value for name, value in metrics.items() if name.startswith("reward/source/")}
    assert of_each == {"reward/source/a": 0.25, "reward/source/b": 1.0}
    assert metrics["reward/mean"] == 0.5
    alone = batch_metrics(make_batch([groups[0], groups[2]], config))
    assert not any(name.startswith("reward/source/") for name in alone)


@pytest.mark.parametrize(
    ("algorithm", "advantages"), [("grpo", [-0.5, 1.5, -0.5]), ("rloo", [-1 / 3, 1.0, -1 / 3])]
)
def test_large_rewards_differ_in_their_last_digit_too(algorithm: str, advantages: list[float]):
    """In float32 these four would be equal. Mean 1/4 above the lowest, std 1/2; of the others 1/3 and 0."""
    settings = ["reward=python", "reward.function=mine.py:parts@0123", f"algorithm={algorithm}"]
    groups = make_groups([[RIGHT, WRONG, WRONG, WRONG]])
    groups[0].rewards = [1.7e9, 1.7e9 + 1, 1.7e9, 1.7e9]
    batch = make_batch(groups, load_config(settings))
    torch.testing.assert_close(
        batch.advantage_R, torch.tensor([*advantages, advantages[0]]), rtol=1e-5, atol=0
    )


def test_tokens_of_groups_that_dynamic_sampling_left_out_were_sampled_too():
    groups = make_groups([[RIGHT, WRONG], [WRONG, WRONG]])
    batch = make_batch(groups[:1], load_config([]))
    lengths = [[len(completion.token_ids) for completion in group.completions] for group in groups]
    assert batch_metrics(batch)["tokens/sampled"] == sum(lengths[0])
    metrics = batch_metrics(batch, groups)
    assert metrics["tokens/sampled"] == sum(lengths[0]) + sum(lengths[1])
    assert metrics["completion/length_mean"] == sum(lengths[0]) / 2
