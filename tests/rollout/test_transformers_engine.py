import math
from collections import Counter
from copy import deepcopy

import pytest
import torch
from scipy.stats import chisquare

from rlvr.data import Group
from rlvr.errors import UserError
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.draws import sample_columns, sample_tokens
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.training.distributed.data_parallel import join

PROBLEMS = countdown_problems(size=6, count=[3, 4, 5], held_out=True, seed=3)
REQUESTS = list(zip(PROBLEMS, (4, 1, 8, 3, 5, 2), strict=True))
SAMPLING = Sampling(max_tokens=16)


def scored_by(policy: Policy, groups: list[Group]) -> torch.Tensor:
    """The trainer's log-probabilities of all sampled tokens."""
    tree = PrefixTree.build(
        [group.prompt_ids for group in groups], [[c.token_ids for c in group.completions] for group in groups]
    )
    with torch.no_grad():
        return policy.logprobs(tree)[0]


def sampled(groups: list[Group]) -> torch.Tensor:
    return torch.tensor([value for group in groups for c in group.completions for value in c.logprobs])


def test_groups_come_back_in_order_and_size(frozen_policy: Policy):
    groups = TransformersEngine(frozen_policy).generate(REQUESTS, SAMPLING, seed=0)

    assert [group.problem for group in groups] == PROBLEMS
    assert [len(group.completions) for group in groups] == [4, 1, 8, 3, 5, 2]


def test_log_probabilities_are_the_trainers_before_and_after_an_update(policy: Policy):
    engine = TransformersEngine(load_policy("embedded"))
    before = engine.generate(REQUESTS, SAMPLING, seed=0)
    torch.testing.assert_close(sampled(before), scored_by(policy, before), atol=5e-6, rtol=0)

    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(1.05)
    stale = engine.generate(REQUESTS, SAMPLING, seed=1)
    assert (sampled(stale) - scored_by(policy, stale)).abs().max() > 0.05
    engine.update_weights(policy.model.named_parameters(), version=7)
    after = engine.generate(REQUESTS, SAMPLING, seed=1)
    # float32 has six to seven digits, and the least likely token of all is at -5 or below
    torch.testing.assert_close(sampled(after), scored_by(policy, after), atol=5e-6, rtol=2e-6)
    assert {c.policy_version for group in after for c in group.completions} == {7}


def test_same_seed_same_tokens_and_another_seed_others(frozen_policy: Policy):
    engine = TransformersEngine(frozen_policy)

    def tokens(seed: int) -> list[list[int]]:
        return [
            c.token_ids for group in engine.generate(REQUESTS, SAMPLING, seed=seed) for c in group.completions
        ]

    assert tokens(5) == tokens(5)
    assert tokens(5) != tokens(6)


def test_a_completion_ends_with_its_end_token_or_at_the_maximum(frozen_policy: Policy):
    end = frozen_policy.tokenizer.eos_token_id
    groups = TransformersEngine(frozen_policy).generate(REQUESTS, Sampling(max_tokens=8), seed=2)
    completions = [c for group in groups for c in group.completions]

    assert {c.finish_reason for c in completions} == {"stop", "length"}
    for completion in completions:
        assert len(completion.logprobs) == len(completion.token_ids) <= 8
        assert end not in completion.token_ids[:-1]
        assert (completion.token_ids[-1] == end) == (completion.finish_reason == "stop")


def test_a_completion_ends_where_its_text_has_a_stop_string(frozen_policy: Policy):
    stops = ("*1", "+10-")  # of several tokens
    stopping = Policy(frozen_policy.model, frozen_policy.tokenizer, stop_strings=stops)
    freely, stopped = (
        [
            c
            for group in TransformersEngine(policy).generate(REQUESTS, SAMPLING, seed=2)
            for c in group.completions
        ]
        for policy in (frozen_policy, stopping)
    )
    cut = 0
    for whole, part in zip(freely, stopped, strict=True):
        said = [frozen_policy.tokenizer.decode(whole.token_ids[: n + 1]) for n in range(len(whole.token_ids))]
        length = next(
            (n + 1 for n, text in enumerate(said) if any(stop in text for stop in stops)), len(said)
        )
        assert part.token_ids == whole.token_ids[:length]
        assert len(part.logprobs) == length
        if length < len(said):
            cut += 1
            assert part.finish_reason == "stop"
            assert any(said[length - 1].startswith(part.text + stop) for stop in stops)
        else:
            assert part.text == min((whole.text.split(stop)[0] for stop in stops), key=len)
            assert part.finish_reason == whole.finish_reason
    assert 0 < cut < len(freely)


def test_waves_and_rows_that_leave_do_not_change_what_is_sampled_from(frozen_policy: Policy):
    """Two rows at a time: prompts are prefilled again and again, and nearly every step loses a row."""
    exact = Policy(deepcopy(frozen_policy.model).double(), frozen_policy.tokenizer)
    groups = TransformersEngine(exact, max_rows=2).generate(REQUESTS, SAMPLING, seed=0)

    assert [len(group.completions) for group in groups] == [4, 1, 8, 3, 5, 2]
    torch.testing.assert_close(sampled(groups), scored_by(exact, groups), atol=2e-6, rtol=0)


def test_rollouts_that_share_beginnings_keep_their_log_probabilities(frozen_policy: Policy):
    """Many rollouts of prompts of several lengths: their tree branches, and its nodes move."""
    groups = TransformersEngine(frozen_policy).generate([(p, 100) for p in PROBLEMS], SAMPLING, seed=4)

    assert len({tuple(c.token_ids) for c in groups[5].completions}) < 50
    torch.testing.assert_close(sampled(groups), scored_by(frozen_policy, groups), atol=2e-5, rtol=0)


@pytest.mark.parametrize("length", [1, 3])
def test_sampled_tokens_follow_the_policy(frozen_policy: Policy, length: int):
    """Counts of all sequences of the first `length` tokens against their exact probabilities."""
    count = 4000
    (group,) = TransformersEngine(frozen_policy, max_rows=3000).generate(
        [(PROBLEMS[0], count)], Sampling(max_tokens=length), seed=11
    )
    observed = Counter(tuple(c.token_ids) for c in group.completions)
    tree = PrefixTree.build([group.prompt_ids], [[list(tokens) for tokens in observed]])
    with torch.no_grad():
        logprobs, _ = frozen_policy.logprobs(tree)
    of_sequence = logprobs.double().split([len(tokens) for tokens in observed])
    expected = torch.stack([own.sum().exp() for own in of_sequence]) * count
    seen = torch.tensor(list(observed.values()), dtype=torch.float64)
    common = expected >= 5
    assert common.sum() > 5
    # all that is rare, or was never drawn, is one class
    expected = torch.cat([expected[common], count - expected[common].sum(dim=0, keepdim=True)])
    seen = torch.cat([seen[common], count - seen[common].sum(dim=0, keepdim=True)])

    assert chisquare(seen.numpy(), expected.numpy()).pvalue > 1e-3


def test_drawing_inverts_the_distribution_function():
    logits = torch.log(torch.tensor([[0.5, 0.0, 0.3, 0.2], [0.0, 0.0, 0.9, 0.1]]))
    node = torch.tensor([0, 1, 0, 0, 1, 0])
    uniform = torch.tensor([0.0, 0.0, 0.499, 0.5, 0.95, 0.999], dtype=torch.float64)
    tokens, logprobs = sample_tokens(logits, node, uniform, Sampling(max_tokens=1))

    assert tokens.tolist() == [0, 2, 0, 2, 3, 3]
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.5, 0.9, 0.5, 0.3, 0.1, 0.2]))


@pytest.mark.parametrize("vocabulary", [256, 257, 1000, 2048])
def test_drawing_from_a_large_vocabulary_inverts_it_too(vocabulary: int):
    generator = torch.Generator().manual_seed(vocabulary)
    weights = torch.rand(3, vocabulary, generator=generator) ** 8
    weights[:, ::3] = 0.0
    weights[1, :-2] = 0.0
    draws = 20_000
    node = torch.arange(3).repeat_interleave(draws)
    uniform = ((torch.arange(draws, dtype=torch.float64) + 0.5) / draws).repeat(3)
    tokens = sample_columns(weights, node, uniform)

    counts = torch.stack([tokens[node == row].bincount(minlength=vocabulary) for row in range(3)])
    expected = draws * (weights.double() / weights.double().sum(-1, keepdim=True))
    assert (counts - expected).abs().max() < 1.1  # evenly spaced heights: one more or less in any interval
    assert counts[weights == 0].sum() == 0
    for row in range(3):  # the very ends of the unit interval stay in the row
        ends = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
        first, last = sample_columns(weights, torch.tensor([row, row]), ends)
        assert [first, last] == [column.item() for column in weights[row].nonzero()[[0, -1], 0]]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(max_tokens=1, top_k=2), [0.625, 0.0, 0.375, 0.0]),
        (Sampling(max_tokens=1, top_p=0.6), [0.625, 0.0, 0.375, 0.0]),
        (Sampling(max_tokens=1, top_p=0.4), [1.0, 0.0, 0.0, 0.0]),
        (Sampling(max_tokens=1, temperature=0.5), [0.25 / 0.38, 0.0, 0.09 / 0.38, 0.04 / 0.38]),
    ],
)
def test_truncated_and_tempered_distributions(sampling: Sampling, expected: list[float]):
    logits = torch.log(torch.tensor([[0.5, 0.0, 0.3, 0.2]]))
    uniform = torch.linspace(0, 0.9999, 1000, dtype=torch.float64)
    tokens, logprobs = sample_tokens(logits, torch.zeros(1000, dtype=torch.int64), uniform, sampling)

    for token, probability in enumerate(expected):
        assert math.isclose((tokens == token).float().mean().item(), probability, abs_tol=2e-3)
        if probability:
            torch.testing.assert_close(
                logprobs[tokens == token][0].exp().item(), probability, atol=1e-6, rtol=0
            )


def test_temperature_0_takes_the_likeliest_token_each_time(frozen_policy: Policy):
    """Against one plain forward a token, in float64 by transformers' own attention."""
    greedy = Sampling(max_tokens=16, temperature=0.0, top_p=0.5, top_k=3)
    groups = TransformersEngine(frozen_policy).generate(REQUESTS, greedy, seed=0)
    model = deepcopy(frozen_policy.model).double()
    model.set_attn_implementation("eager")
    for group, (problem, count) in zip(groups, REQUESTS, strict=True):
        ids, logprobs = frozen_policy.encode(problem), []
        prompt = len(ids)
        while len(logprobs) < 16 and (not logprobs or ids[-1] not in frozen_policy.end_ids):
            with torch.no_grad():
                best = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1).max(-1)
            ids.append(best.indices.item())
            logprobs.append(best.values.item())
        assert [c.token_ids for c in group.completions] == count * [ids[prompt:]]
        assert all(c.logprobs == pytest.approx(logprobs, abs=1e-5) for c in group.completions)
        assert {c.finish_reason for c in group.completions} == {
            "stop" if ids[-1] in frozen_policy.end_ids else "length"
        }


def test_of_equally_likely_tokens_the_first_is_taken():
    tokens, logprobs = sample_tokens(
        torch.log(torch.tensor([[0.2, 0.4, 0.4], [0.5, 0.25, 0.25]])),
        torch.tensor([0, 1, 0]),
        torch.tensor([0.0, 0.9, 0.9], dtype=torch.float64),
        Sampling(max_tokens=1, temperature=0.0),
    )
    assert tokens.tolist() == [1, 0, 1]
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.4, 0.5, 0.4]))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("row", [[0.0, math.nan, 1.0], [0.0, math.inf, 1.0], [-math.inf] * 3])
def test_of_what_is_no_distribution_nothing_is_drawn(temperature: float, row: list[float]):
    draws = torch.tensor([0, 1]), torch.tensor([0.5, 0.5], dtype=torch.float64)
    sampling = Sampling(max_tokens=1, temperature=temperature)
    with pytest.raises(UserError, match="probabilities are NaN"):
        sample_tokens(torch.tensor([[0.0, 1.0, 2.0], row]), *draws, sampling)
    minus_infinity = torch.tensor([[0.0, -math.inf, 2.0]] * 2)  # a token that is never drawn
    assert sample_tokens(minus_infinity, *draws, sampling)[0].tolist() == [2, 2]


def split(rollouts: range) -> list[range]:
    half = len(rollouts) // 2
    return [part for part in (rollouts[:half], rollouts[half:]) if part]


@pytest.mark.parametrize("max_rows", [1000, 5])
def test_engines_that_share_the_requests_sample_what_one_would(frozen_policy: Policy, max_rows: int):
    engine = TransformersEngine(frozen_policy, max_rows=max_rows)
    alone = engine.generate(REQUESTS, SAMPLING, seed=0)
    halves = [(i, rollouts) for i, (_, size) in enumerate(REQUESTS) for rollouts in split(range(size))]
    shared: dict[int, Group] = {}
    for share in (halves[::3], [], halves[1::3], halves[2::3]):
        for part, group in zip(share, engine.generate(REQUESTS, SAMPLING, seed=0, only=share), strict=True):
            shared[halves.index(part)] = group
    together = list(alone)
    for place, (i, rollouts) in enumerate(halves):
        together[i] = shared[place] if not rollouts.start else join(together[i], shared[place])

    assert [[c.token_ids for c in g.completions] for g in together] == [
        [c.token_ids for c in g.completions] for g in alone
    ]
    torch.testing.assert_close(sampled(together), sampled(alone), atol=1e-5, rtol=0)
