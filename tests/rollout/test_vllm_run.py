"""A run that samples with vLLM (run with `-m vllm`)."""

import shutil

import pyarrow.parquet as pq
import pytest
from tiny_runs import tiny

from rlvr.files.run_directory import read_summary
from rlvr.runs.run import run


@pytest.mark.vllm
def test_one_engine_trains_and_evaluates(tmp_path, monkeypatch):
    """What it samples with steps 1 and 2, after the weights of step 2, is what a new one samples."""
    from rlvr.rollout import vllm_engine

    made = []

    class Counted(vllm_engine.LLM):
        def __init__(self, **settings):
            made.append(settings)
            super().__init__(**settings)

    monkeypatch.setattr(vllm_engine, "LLM", Counted)
    settings = [
        *("rollout.enforce_eager=true", "training.learning_rate=1e-2", "evaluation.samples=16"),
        "algorithm.entropy_coefficient=1e-3",  # so that groups without signal are trained on too
    ]
    config = tiny(tmp_path, "rollout=vllm", "evaluation.latest_step=1", "evaluation.last_too=true", *settings)
    samples = []
    for engines in (1, 2):
        path = run(config)
        assert len(made) == engines
        assert read_summary(path)["checkpoint_step"] == 1
        for folder in ("evaluation", "evaluation-last"):
            samples.append(pq.read_table(path / folder / "countdown_3.parquet"))
            shutil.rmtree(path / folder)
    assert samples[:2] == samples[2:]
    assert samples[0]["text"] != samples[1]["text"]
