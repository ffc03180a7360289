"""What is sampled on CUDA, and the trainer's log-probabilities there, against transformers' own forward."""

from collections import Counter

import pytest
import torch
from padded_batch import padded_batch, plain_logprobs, plain_model
from scipy.stats import chisquare

from rlvr.config import load_config
from rlvr.data import Group, Verdict
from rlvr.policy.policy import load_policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.training.batch import make_batch
from rlvr.training.learner import Learner

PROBLEMS = countdown_problems(size=6, count=[3, 4, 5], held_out=True, seed=3)
REQUESTS = list(zip(PROBLEMS, (4, 1, 60, 3, 5, 2), strict=True))
SAMPLING = Sampling(max_tokens=16)


def plain(groups: list[Group], device: str, scale: float = 1.0) -> list[torch.Tensor]:
    """Log-probabilities of each completion's tokens, each rollout a row of its own; weights times `scale`."""
    model, padded = plain_model(device), padded_batch(groups, device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale
        logp = plain_logprobs(model, padded).cpu()
    completions = [c for group in groups for c in group.completions]
    return [row[: len(c.token_ids)] for row, c in zip(logp, completions, strict=True)]


def sampled(groups: list[Group]) -> torch.Tensor:
    return torch.tensor([value for group in groups for c in group.completions for value in c.logprobs])


@pytest.mark.parametrize("max_rows", [1024, 8], ids=["one wave", "many waves"])
def test_log_probabilities_of_samples_are_those_of_a_plain_forward(max_rows: int, device: str):
    engine = TransformersEngine(load_policy("embedded", device=device), max_rows=max_rows)
    groups = engine.generate(REQUESTS, SAMPLING, seed=0)
    assert [len(group.completions) for group in groups] == [count for _, count in REQUESTS]
    torch.testing.assert_close(sampled(groups), torch.cat(plain(groups, device)), atol=1e-4, rtol=0)


def test_new_weights_are_sampled_from(device: str):
    engine = TransformersEngine(load_policy("embedded", device=device))
    trained = load_policy("embedded", device=device)
    with torch.no_grad():
        for parameter in trained.model.parameters():
            parameter *= 1.05
    engine.update_weights(trained.weights(), version=7)
    groups = engine.generate(REQUESTS, SAMPLING, seed=1)
    torch.testing.assert_close(sampled(groups), torch.cat(plain(groups, device, 1.05)), atol=1e-4, rtol=0)
    assert (sampled(groups) - torch.cat(plain(groups, device))).abs().max() > 0.05


def test_samples_in_bfloat16_are_near_a_plain_forward(device: str):
    engine = TransformersEngine(load_policy("embedded", device=device), precision="bfloat16")
    groups = engine.generate(REQUESTS, SAMPLING, seed=0)
    assert 1e-5 < (sampled(groups) - torch.cat(plain(groups, device))).abs().mean() < 0.02


def test_one_seed_one_set_of_tokens(device: str):
    engine = TransformersEngine(load_policy("embedded", device=device))
    first, again, other = (
        [c.token_ids for group in engine.generate(REQUESTS, SAMPLING, seed=seed) for c in group.completions]
        for seed in (5, 5, 6)
    )
    assert first == again != other


def test_first_tokens_follow_the_policy(device: str):
    """Counts of first tokens against the probabilities of a plain forward."""
    count = 4000
    engine = TransformersEngine(load_policy("embedded", device=device), max_rows=3000)
    (group,) = engine.generate([(PROBLEMS[0], count)], Sampling(max_tokens=1), seed=11)
    with torch.no_grad():
        logits = plain_model(device)(torch.tensor([group.prompt_ids], device=device)).logits[0, -1]
    expected = logits.double().softmax(-1).cpu() * count
    counts = Counter(c.token_ids[0] for c in group.completions)
    seen = torch.tensor([counts[token] for token in range(len(expected))], dtype=torch.float64)
    common = expected >= 5
    assert common.sum() > 3
    # all that is rare is one class; a little is added, since it may be empty on both sides
    rare = [torch.stack([values[common.logical_not()].sum()]) + 1e-9 for values in (seen, expected)]
    seen, expected = (
        torch.cat([values[common], rest]) for values, rest in zip((seen, expected), rare, strict=True)
    )
    assert chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


def test_the_trainers_log_probabilities_are_those_of_a_plain_forward(device: str):
    """Its metrics of what engine and trainer disagree on, with the plain forward as the engine."""
    policy = load_policy("embedded", device=device)
    groups = TransformersEngine(policy).generate(REQUESTS, SAMPLING, seed=2)
    logprobs = iter(plain(groups, device))
    for group in groups:
        for completion in group.completions:
            completion.logprobs = next(logprobs).tolist()
        half = len(group.completions) // 2
        rest = len(group.completions) - half
        group.verdicts = [Verdict.CORRECT] * half + [Verdict.WRONG] * rest
    count = len(groups)
    config = load_config([f"training.prompts_per_step={count}", f"training.mini_batch_prompts={count}"])
    metrics = Learner(policy, config).update(make_batch(groups, config))
    assert metrics["tokens/trained"] > 500
    assert metrics["mismatch/log_ratio_max"] < 1e-4
