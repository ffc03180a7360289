"""One step off-policy: which weights a step's rollouts are of, whatever is done at the same time."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import tiny_runs
import torch

from rlvr.config import Config, load_config
from rlvr.curriculum import build_curriculum
from rlvr.data import Completion, Group, Problem, Verdict
from rlvr.errors import UserError
from rlvr.policy.kernels import Kernels
from rlvr.problems import load_problems
from rlvr.rollout import build_engine
from rlvr.rollout.engine import Sampling
from rlvr.runs.deadline import OutOfTime
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path
from rlvr.training.loop import sampling_seed
from rlvr.training.rollout_log import token_texts
from rlvr.training.setup import initial_policy
from rlvr.training.step_sampler import Sampled, StepSampler

SETTINGS = (
    *("training.steps=4", "training.off_policy_steps=1", "training.learning_rate=1e-2"),
    *("evaluation.validation_samples=1", "evaluation.after_training=false"),
    *("algorithm.mismatch_cap=2.0", "algorithm.mismatch_weights=sequence_truncate"),
    "algorithm.entropy_coefficient=1e-3",  # so that groups without signal are trained on too
)


def tiny(folder: Path, *overrides: str) -> Config:
    return tiny_runs.tiny(folder, *SETTINGS, *overrides)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("runs")))


def metrics(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_rollouts_of_step_three_are_of_the_weights_after_step_one(finished: Path, tmp_path: Path):
    config = tiny(tmp_path)
    curriculum = build_curriculum(config, load_problems(config.data, held_out=False))
    requests = [curriculum.next_batch() for _ in range(3)][-1]
    lines = [json.loads(line) for line in (finished / "rollouts.jsonl").read_text().splitlines()]
    (logged,) = (line for line in lines if line["step"] == 3)
    trained = [c["tokens"] for group in logged["groups"] for c in group["completions"]]
    sampled = {}
    for step in (1, 2):
        policy = initial_policy(config, checkpoint_path(finished, step))
        engine = build_engine(config, policy)
        sampling = Sampling(**vars(config.training.sampling))
        groups = engine.generate(requests, sampling, seed=sampling_seed(config.seed, 3, 0))
        completions = [c.token_ids for group in groups for c in group.completions]
        sampled[step] = sorted(token_texts(policy.tokenizer, token_ids) for token_ids in completions)
    assert sorted(trained) == sampled[1] != sampled[2]


def test_the_mismatch_is_that_of_one_update(finished: Path):
    """The first two steps have the initial weights; from the second on an update lies between."""
    largest = [line["mismatch/log_ratio_max"] for line in metrics(finished)]
    assert largest[0] < 1e-4
    assert min(largest[1:]) > 1e-3
    assert all(0 <= line["mismatch/cut"] <= 1 for line in metrics(finished))


def test_what_was_sampled_ahead_is_gone_on_with(finished: Path, tmp_path: Path, monkeypatch):
    for steps in (1, 2):  # each start ends after so many steps
        checks = iter([False] * steps)

        def check_time(checks=checks) -> None:
            if next(checks, True):
                raise OutOfTime

        with monkeypatch.context() as patch:
            patch.setattr("rlvr.runs.run.check_time", check_time)
            run(tiny(tmp_path))
    path = run(tiny(tmp_path))
    assert metrics(path) == metrics(finished)
    assert (path / "rollouts.jsonl").read_bytes() == (finished / "rollouts.jsonl").read_bytes()


def test_what_was_sampled_ahead_comes_back_to_the_last_bit(tmp_path: Path):
    """From tensors, and from the lists that checkpoints of older versions have."""
    config = load_config()
    problem = Problem("a", "b", ({"role": "user", "content": "c"},), "4", "integer", {"level": 3, "of": [1]})
    rows = [([], []), ([5, 2**40, 7], [-0.1, -1 / 3, -5e-324]), ([8], [-0.0])]
    completions = [Completion(ids, logprobs, "é", "length", 3) for ids, logprobs in rows]
    group = Group(problem, [1, 2], completions, [Verdict.CORRECT, Verdict.WRONG, Verdict.TIMEOUT])
    group.rewards, group.reward_parts = [1.0, 0.5, 0.25], {"short": [0.1, 0.2, 0.3]}
    other = Group(problem, [3], [])
    sampler = StepSampler(config, None, lambda step, stage: None, overlap=False)
    sampler._ahead = Sampled([group], [other, group], 1.5, {"x": 2.0})
    torch.save(sampler.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    saved = state["sampled"][1]["completions"]
    assert [(c["token_ids"].dtype, c["logprobs"].dtype) for c in saved] == [(torch.int64, torch.float64)] * 3
    of_old = {**state, "sampled": [asdict(g) | {"verdicts": [*map(str, g.verdicts)]} for g in (other, group)]}
    for given in (state, of_old):
        read = StepSampler(config, None, lambda step, stage: None, overlap=False)
        read.load_state_dict(given)
        assert read._ahead == sampler._ahead and read._ahead.groups[0] is read._ahead.sampled[1]
        for one, (ids, logprobs) in zip(read._ahead.groups[0].completions, rows, strict=True):
            assert [type(number) for number in (*one.token_ids, *one.logprobs)] == [int] * len(ids) + [
                float
            ] * len(logprobs)
            assert [*map(float.hex, one.logprobs)] == [*map(float.hex, logprobs)]


def test_a_run_that_ended_is_not_made_longer(finished: Path):
    """It would have sampled its next step before its last update."""
    with pytest.raises(UserError, match=r"steps=4, not 6: training\.off_policy_steps=1 would have sampled"):
        run(tiny(finished.parents[2], "training.steps=6"))


def test_sampling_at_the_same_time_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a GPU: another thread, and a copy of the weights. The kernels for CPUs are for one thread."""
    monkeypatch.setattr("rlvr.policy.policy.cpu.optimize", lambda model: Kernels())
    in_turns = run(tiny(tmp_path / "in turns"))
    for module in ("rlvr.runs.run", "rlvr.training.setup"):
        monkeypatch.setattr(f"{module}.overlaps", lambda config: True)
    together = run(tiny(tmp_path / "together"))
    assert metrics(together) == metrics(in_turns)
