"""Validation: who counts in its averages."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import tiny

from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.evaluation.validation import validate
from rlvr.files import step_lines
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.evaluate import ranked_steps
from rlvr.verification import verify

PROBLEMS = countdown_problems(size=3, count=[3], held_out=True, seed=3)
LOST = [replace(problem, verifier="math", answer=r"\frac{1}{0}") for problem in PROBLEMS]


def test_problems_that_cannot_be_judged_are_in_no_average(frozen_policy: Policy, tmp_path: Path):
    evaluation = tiny(tmp_path, "evaluation.validation_samples=4").evaluation
    engine = TransformersEngine(frozen_policy)
    asked = [(problem, 4) for problem in (*PROBLEMS, *LOST)]
    groups = engine.generate(asked, Sampling(16), seed=evaluation.seed)[:3]
    verify(groups)
    right = sum(group.verdicts.count(Verdict.CORRECT) for group in groups)
    assert 0 < right < 12

    scores = validate(engine, {"some": [*PROBLEMS, *LOST], "none": LOST}, evaluation)
    assert scores["some"] == scores["in_domain/pass@1"] == pytest.approx(right / 12)
    assert scores["in_domain/pass@4"] == pytest.approx(
        sum(Verdict.CORRECT in group.verdicts for group in groups) / 3
    )
    assert "none" not in scores
    assert validate(engine, {"none": LOST}, evaluation) == {}


def test_a_checkpoint_without_an_average_is_not_the_best(tmp_path: Path):
    config = tiny(tmp_path)
    for step, scores in enumerate(({"in_domain/pass@1": 0.5}, {"in_domain/pass@1": 0.25}, {})):
        step_lines.append(tmp_path / "validation.jsonl", step, scores)
    assert ranked_steps(config, tmp_path) == [1]
    assert ranked_steps(tiny(tmp_path, "evaluation.checkpoint=last"), tmp_path) == [2, 1]
    with pytest.raises(UserError, match="no answer to the in-domain benchmarks could be judged"):
        (tmp_path / "validation.jsonl").write_text('{"step": 1}\n')
        ranked_steps(config, tmp_path)
