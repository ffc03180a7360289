"""What does not fit the model's context is said before anything is sampled."""

from pathlib import Path

import pytest
from tiny_runs import TINY, tiny

from rlvr.config import ModelConfig, load_config
from rlvr.errors import UserError
from rlvr.policy.policy import Policy
from rlvr.problems.countdown import countdown_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.lengths import longest_prompt, longest_sequence
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.run import run

PROBLEMS = countdown_problems(size=40, count=[3, 4, 5], held_out=True, seed=3)
MODEL = ModelConfig(path="embedded")
CONTEXT = 128  # the embedded policy's


def test_the_longest_prompt_is_the_one_of_most_tokens(frozen_policy: Policy):
    lengths = [len(frozen_policy.encode(problem)) for problem in PROBLEMS]
    longest, problem = longest_prompt(PROBLEMS, frozen_policy.tokenizer, {})
    assert longest == max(lengths) == len(frozen_policy.encode(problem))
    assert longest_prompt(PROBLEMS, frozen_policy.tokenizer, {}, above=longest) == (longest, None)
    asked = [(PROBLEMS, 16, "short"), (PROBLEMS[:1], 30, "long")]
    assert longest_sequence(MODEL, asked, exact=True) == max(longest + 16, lengths[0] + 30)


def test_a_sequence_may_fill_the_context_and_no_more(frozen_policy: Policy):
    lengths = [len(frozen_policy.encode(problem)) for problem in PROBLEMS]
    room = CONTEXT - max(lengths)
    assert longest_sequence(MODEL, [(PROBLEMS, room, "x")]) is None
    said = rf"x={room + 1} was given, .* problem (\S+) has {max(lengths)} tokens: .*128 .* x={room}$"
    with pytest.raises(UserError, match=said) as error:
        longest_sequence(MODEL, [(PROBLEMS, room + 1, "x")])
    named = next(p for p in PROBLEMS if p.id in str(error.value))
    assert len(frozen_policy.encode(named)) == max(lengths)
    engine, longest = TransformersEngine(frozen_policy), [(named, 1)]
    assert engine.generate(longest, Sampling(room), seed=0)
    with pytest.raises(UserError, match=f"max_tokens={room}$"):
        engine.generate(longest, Sampling(room + 1), seed=0)


@pytest.mark.parametrize("key", ["training.sampling.max_tokens", "evaluation.sampling.max_tokens"])
def test_a_run_says_so_at_its_start(tmp_path: Path, key: str):
    """Also of a benchmark that is not asked before training is over."""
    with pytest.raises(UserError, match=rf"{key}=120 was given, .* nearest valid choice is {key}="):
        run(tiny(tmp_path, f"{key}=120", "benchmark.tasks.countdown_3.domain=out_of_domain"))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_benchmark_for_the_end_is_read_at_the_start(tmp_path: Path):
    task = "benchmark.tasks.jsonl"
    given = [override for override in TINY if "countdown" not in override]
    given += [f"runs={tmp_path}", "benchmark=jsonl", f"{task}.path={tmp_path}/gone.jsonl"]
    given += [f"{task}.domain=out_of_domain"]
    with pytest.raises(UserError, match=r"gone\.jsonl"):
        run(load_config(given))
    assert not list(tmp_path.rglob("*.safetensors"))
