"""Validation: who counts in its averages."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_runs import tiny

from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.evaluation.validation import benchmark_problems, validate, validation_problems
from rlvr.files import step_lines
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.evaluate import choose, ranked_steps
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


def test_checkpoints_are_chosen_on_other_problems_than_those_reported(tmp_path: Path):
    two = ("benchmark=[countdown_3,countdown_4,gcd]", "benchmark.tasks.gcd.size=4")  # gcd is out of domain
    config = tiny(tmp_path, *two)
    assert config.evaluation.select_on == "validation"  # at the scales that draw their problems
    reported = benchmark_problems(config)
    others = validation_problems(config, reported)
    assert {name: len(problems) for name, problems in others.items()} == {"countdown_3": 4, "countdown_4": 48}
    asked = {problem.id for problems in reported.values() for problem in problems}
    for name, problems in others.items():
        assert not asked & {problem.id for problem in problems}
        numbers = {len(problem.metadata["numbers"]) for problem in problems}
        assert numbers == {int(name[-1])}  # of the same generator
        trained = countdown_problems(size=2000, count=int(name[-1]), held_out=False, seed=0)
        assert not {problem.id for problem in trained} & {problem.id for problem in problems}
    assert validation_problems(config, reported) == others
    on_test = tiny(tmp_path, *two, "evaluation.select_on=test")
    assert validation_problems(on_test, reported) == {name: reported[name] for name in others}


def test_a_fixed_list_chooses_on_its_own_and_a_small_generator_says_it_has_no_others(tmp_path: Path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"problem": "1 + 1", "answer": "2"}\n{"problem": "1 + 2", "answer": "3"}\n')
    config = tiny(tmp_path, "benchmark=[countdown_3,jsonl]", f"benchmark.tasks.jsonl.path={file}")
    reported = benchmark_problems(config)
    chosen_on = validation_problems(config, reported)
    assert chosen_on["jsonl"] == reported["jsonl"]
    assert chosen_on["countdown_3"] != reported["countdown_3"]
    narrow = ["benchmark.tasks.countdown_3.parameters={count: 3, smallest: 1, largest: 3}"]
    narrow = tiny(tmp_path, *narrow, "benchmark.tasks.countdown_3.size=9")
    with pytest.raises(UserError, match=r"countdown has only \d problems beside the 9|were found"):
        validation_problems(narrow, benchmark_problems(narrow))


def test_checkpoints_are_chosen_by_pass_at_another_k(tmp_path: Path):
    """From a hand-made file: the best by pass@1, by pass@2 and by pass@4 are three steps."""
    lines = [
        {"in_domain/pass@1": 0.9, "in_domain/pass@2": 0.9, "in_domain/pass@4": 0.9},  # before training
        {"in_domain/pass@1": 0.4, "in_domain/pass@2": 0.5, "in_domain/pass@4": 0.8},
        {"in_domain/pass@1": 0.4, "in_domain/pass@2": 0.7, "in_domain/pass@4": 0.7},
        {"in_domain/pass@1": 0.5, "in_domain/pass@2": 0.5},  # of no problem could 4 samples be judged
    ]
    for step, scores in enumerate(lines):
        step_lines.append(tmp_path / "validation.jsonl", step, scores)
    ks = ("evaluation.validation_samples=4", "evaluation.k=[1,2,4]")
    ranked = {k: ranked_steps(tiny(tmp_path, *ks, f"evaluation.select_by={k}"), tmp_path) for k in (1, 2, 4)}
    assert ranked == {1: [3, 1, 2], 2: [2, 1, 3], 4: [1, 2]}
    assert ranked_steps(tiny(tmp_path, *ks), tmp_path) == ranked[1]
    by_4 = tiny(tmp_path, *ks, "evaluation.select_by=4", "evaluation.checkpoint=last")
    assert ranked_steps(by_4, tmp_path) == [3, 2, 1]


def test_a_k_that_a_validation_did_not_measure_is_said_with_those_it_did(tmp_path: Path):
    for step in (0, 1):
        scores = {"in_domain/pass@1": 0.5, "in_domain/pass@2": 0.5, "in_domain/reward": 0.5}
        step_lines.append(tmp_path / "validation.jsonl", step, scores)
    config = tiny(tmp_path, "evaluation.validation_samples=4", "evaluation.select_by=4")
    with pytest.raises(UserError, match=r"select_by=4: .* has no pass@4; accepted is one of 1, 2, .* is 2$"):
        choose(config, tmp_path)


def test_a_checkpoint_without_an_average_is_not_the_best(tmp_path: Path):
    config = tiny(tmp_path)
    for step, scores in enumerate(({"in_domain/pass@1": 0.5}, {"in_domain/pass@1": 0.25}, {})):
        step_lines.append(tmp_path / "validation.jsonl", step, scores)
    assert ranked_steps(config, tmp_path) == [1]
    assert ranked_steps(tiny(tmp_path, "evaluation.checkpoint=last"), tmp_path) == [2, 1]
    with pytest.raises(UserError, match="no answer to the in-domain benchmarks could be judged"):
        (tmp_path / "validation.jsonl").write_text('{"step": 1}\n')
        choose(config, tmp_path)
