"""Evaluation shard by shard."""

import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import rlvr.evaluation.sampling
from rlvr.evaluation.sampling import sample_benchmarks
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine

PROBLEMS = countdown_problems(size=3, count=[3, 4, 5], held_out=True, seed=3)


def sample(engine: TransformersEngine, folder: Path, samples_per_shard: int) -> list[dict]:
    files = sample_benchmarks(
        engine,
        {"countdown": PROBLEMS},
        samples=4,
        sampling=Sampling(max_tokens=16),
        seed=1,
        folder=folder,
        samples_per_shard=samples_per_shard,
    )
    return pq.read_table(files["countdown"]).to_pylist()


def test_a_shard_is_judged_while_the_next_is_sampled(
    frozen_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three shards of a problem; the first is judged only when the second has been asked for."""
    engine = TransformersEngine(frozen_policy)
    generate, verify = engine.generate, rlvr.evaluation.sampling.verify
    asked_for_second = threading.Event()
    shards: list[str] = []
    in_time: list[bool] = []

    def watched_generate(requests, sampling, *, seed):
        shards.append(requests[0][0].id)
        if len(shards) == 2:
            asked_for_second.set()
        return generate(requests, sampling, seed=seed)

    def late_verify(groups):
        in_time.append(asked_for_second.wait(30))
        verify(groups)

    monkeypatch.setattr(engine, "generate", watched_generate)
    monkeypatch.setattr(rlvr.evaluation.sampling, "verify", late_verify)
    rows = sample(engine, tmp_path, samples_per_shard=4)

    assert shards == [problem.id for problem in PROBLEMS]
    assert in_time == [True] * 3
    assert [(row["problem_id"], row["sample"]) for row in rows] == [
        (problem.id, n) for problem in PROBLEMS for n in range(4)
    ]


def test_an_error_of_a_judge_comes_out_and_what_was_written_stays(
    frozen_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = TransformersEngine(frozen_policy)
    verify, judged = rlvr.evaluation.sampling.verify, []

    def failing(groups):
        judged.append(groups[0].problem.id)
        if len(judged) == 3:  # the last, which nothing comes after
            raise OSError("no space")
        verify(groups)

    monkeypatch.setattr(rlvr.evaluation.sampling, "verify", failing)
    with pytest.raises(OSError, match="no space"):
        sample(engine, tmp_path, samples_per_shard=4)
    assert len(list(tmp_path.glob("countdown.shards/*.parquet"))) == 2

    sample(engine, tmp_path, samples_per_shard=4)
    assert judged[3:] == [PROBLEMS[2].id]
