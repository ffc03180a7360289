"""Evaluation shard by shard."""

from pathlib import Path

import pytest

import rlvr.evaluation.sampling
from rlvr.evaluation.sampling import sample_benchmarks
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine

PROBLEMS = countdown_problems(size=3, count=[3, 4, 5], held_out=True, seed=3)


def sample(engine: TransformersEngine, folder: Path) -> None:
    sample_benchmarks(
        engine,
        {"countdown": PROBLEMS},
        samples=4,
        sampling=Sampling(max_tokens=16),
        seed=1,
        folder=folder,
        samples_per_shard=4,
    )


def test_an_error_of_a_judge_comes_out_and_what_was_written_stays(
    frozen_policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = TransformersEngine(frozen_policy)
    verify, judged = rlvr.evaluation.sampling.verify, []

    def failing(groups):
        judged.append(groups[0].problem.id)
        if len(judged) == 3:
            raise OSError("no space")
        verify(groups)

    monkeypatch.setattr(rlvr.evaluation.sampling, "verify", failing)
    with pytest.raises(OSError, match="no space"):
        sample(engine, tmp_path)
    assert len(list(tmp_path.glob("*/countdown.shards/*.parquet"))) == 2

    sample(engine, tmp_path)
    assert judged[3:] == [PROBLEMS[2].id]
