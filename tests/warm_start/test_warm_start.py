"""The policies that rlvr makes itself: their recipes, words, and what the shipped ones can do."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlvr.cli.main import main as command_line
from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.policy.architecture import KNOWN, architecture_from
from rlvr.policy.kernels import Kernels
from rlvr.policy.location import EMBEDDED, SHIPPED, local_files, made_here
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.recipes import RECIPES
from rlvr.problems import load_problems
from rlvr.problems.gym_words import worked
from rlvr.problems.split import held_out_by_hash
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.run import run
from rlvr.verification import verify
from rlvr.warm_start.tokenizers import arithmetic_tokenizer, maze_tokenizer
from rlvr.warm_start.train import build_policy, make_policy, solved_examples, supervised_step, warm_start

MAZE = [
    *("model=maze_small", "data=maze_9", "benchmark=maze_9", "tracking=local", "scale=smoke"),
    *("training.sampling.max_tokens=24", "evaluation.sampling.max_tokens=24"),
]
SHORT = replace(RECIPES["maze_small"], steps=2, examples_per_step=4)


def test_the_policy_is_one_of_the_device_it_is_trained_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """It had the layers and the attention of a CPU on every device."""
    seen = []

    def first_step(policy: Policy, examples: list) -> float:
        seen.append((policy.device.type, type(policy.kernels)))
        raise KeyboardInterrupt

    monkeypatch.setattr("rlvr.warm_start.train.supervised_step", first_step)
    for recipe in (SHORT, RECIPES["embedded"]):
        with pytest.raises(KeyboardInterrupt):
            warm_start(recipe, tmp_path / "policy", device="meta")
    assert seen == [("meta", Kernels)] * 2


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_has_the_shape_and_words_of_its_recipe(name: str):
    made = build_policy(RECIPES[name])
    shipped = architecture_from(SHIPPED[name] / "config.json")
    assert shipped.parameters == made.model.num_parameters()
    config = json.loads((SHIPPED[name] / "config.json").read_text())
    assert config["rope_parameters"]["rope_theta"] == RECIPES[name].rope_theta
    assert config["num_hidden_layers"] == RECIPES[name].layers
    tokenizer = {"arithmetic": arithmetic_tokenizer, "maze": maze_tokenizer}[RECIPES[name].task]()
    assert json.loads(tokenizer.backend_tokenizer.to_str()) == json.loads(
        (SHIPPED[name] / "tokenizer.json").read_text()
    )


def test_the_papers_maze_policy_has_the_shape_that_is_planned_with():
    policy = build_policy(RECIPES["maze_3m"])
    assert KNOWN["maze_3m"].parameters == policy.model.num_parameters() == 3_944_704
    assert policy.model.config.max_position_embeddings == 512
    # 308 tokens of a maze of side 17 and 180 of an answer fit
    problem, _ = next(solved_examples(RECIPES["maze_3m"]))
    assert len(policy.encode(problem)) == 1 + 1 + 17 * 18 + 1 + 1


def test_a_policy_may_start_from_a_model_with_its_words_and_weights():
    recipe = replace(RECIPES["embedded"], start="embedded")
    started, fresh = build_policy(recipe), build_policy(RECIPES["embedded"])
    assert started.model.state_dict().keys() == fresh.model.state_dict().keys()
    torch.testing.assert_close(started.head.weight, load_policy("embedded").head.weight, atol=0, rtol=0)
    examples = list(itertools.islice(solved_examples(recipe), 32))
    assert supervised_step(started, examples) < 0.6 * supervised_step(fresh, examples)


def test_worked_sums_are_of_the_training_side_and_right():
    settings = load_config(["data=arithmetic"]).data.parameters
    for problem, answer in itertools.islice(solved_examples(RECIPES["smollm2_sums"]), 200):
        question = problem.prompt[0]["content"]
        assert not held_out_by_hash(question)
        terms = re.findall(r"\d+", question)
        assert settings["min_terms"] <= len(terms) <= settings["max_terms"]
        assert answer.endswith(f"The answer is \\boxed{{{problem.answer}}}.")
        assert answer.count("=") == len(terms) - 1
    assert worked("12 + 7 - 35") == "12 + 7 = 19, 19 - 35 = -16. The answer is \\boxed{-16}."
    assert worked("5 - 9 + 4") == "5 - 9 = -4, -4 + 4 = 0. The answer is \\boxed{0}."


def test_supervised_steps_learn_the_answer_they_are_shown():
    policy = build_policy(RECIPES["maze_small"])
    examples = [next(solved_examples(RECIPES["maze_small"]))]
    losses = []
    for _ in range(8):
        losses.append(supervised_step(policy, examples))
        for weight in policy.model.parameters():
            weight.data -= 0.3 * weight.grad
            weight.grad = None
    assert losses[0] == pytest.approx(np.log(32), abs=0.5)  # nothing known: as good as one of 32 words
    assert losses[-1] < losses[0] - 1


def test_the_small_maze_policy_knows_some_ways_and_not_others():
    """One new maze of four at the first try, most of them in 16: something to gain, something to lose."""
    config = load_config(MAZE)
    policy = load_policy("maze_small", settings=config.model)
    problems = list(load_problems(config.benchmark.tasks["maze_9"], held_out=True))[:32]
    groups = TransformersEngine(policy).generate([(p, 16) for p in problems], Sampling(24), seed=0)
    verify(groups)
    correct = np.array([group.verdicts.count("correct") for group in groups])
    assert 0.1 < correct.mean() / 16 < 0.4
    assert (correct > 0).mean() > 0.6
    finished = [c for group in groups for c in group.completions if c.finish_reason == "stop"]
    assert np.mean([c.text.endswith("DONE") for c in finished]) > 0.99
    assert len(finished) > 0.95 * 32 * 16


def test_two_training_steps_on_mazes_end_to_end(tmp_path: Path):
    config = load_config(
        [
            *MAZE,
            f"runs={tmp_path}",
            "training.steps=2",
            "training.prompts_per_step=4",
            "training.mini_batch_prompts=4",
            "training.learning_rate=1e-3",
            "advantage_scaling=focal",
            "benchmark.tasks.maze_9.size=4",
            "evaluation.samples=8",
            "evaluation.k=[1,8]",
            "evaluation.validation_samples=8",
            "evaluation.checkpoint=last",
        ]
    )
    path = run(config)
    steps = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["update/steps"] for line in steps] == [1, 1]
    assert max(line["mismatch/log_ratio_max"] for line in steps) < 1e-4  # on-policy
    assert any(line["update/gradient_norm"] > 0 for line in steps)
    summary = json.loads((path / "summary.json").read_text())
    assert summary["checkpoint_step"] == 2
    assert 0 <= summary["evaluation"]["maze_9"]["pass@k"]["1"] <= 1
    validation = [json.loads(line) for line in (path / "validation.jsonl").read_text().splitlines()]
    assert all(0 <= line["in_domain/pass@1"] <= line["in_domain/pass@8"] <= 1 for line in validation)


def test_a_policy_is_made_where_its_model_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setitem(RECIPES, "maze_3m", SHORT)
    model = load_config(["model=maze_3m"]).model
    assert local_files(model) is None
    with pytest.raises(UserError, match=r"`rlvr warm-start policy=maze_3m`"):
        load_policy("maze_3m", settings=model)
    assert make_policy("maze_3m") == made_here("maze_3m") == local_files(model)
    made = made_here("maze_3m").stat().st_mtime_ns
    assert make_policy("maze_3m") == made_here("maze_3m")
    assert made_here("maze_3m").stat().st_mtime_ns == made  # what is there is left alone
    policy = load_policy("maze_3m", settings=model)
    assert policy.tokenizer.convert_ids_to_tokens(policy.end_ids) == ["<eos>", "DONE"]
    monkeypatch.setitem(RECIPES, "maze_3m", replace(SHORT, seed=1))
    assert local_files(model) is None  # another recipe is another policy


def test_the_same_recipe_makes_the_same_weights(tmp_path: Path):
    for folder in ("first", "second"):
        warm_start(SHORT, tmp_path / folder)
    first, second = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("first", "second"))
    assert first == second != (EMBEDDED.with_name("maze_small") / "model.safetensors").read_bytes()


def test_settings_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = tmp_path / "mine"
    command_line(["warm-start", "policy=maze_small", f"folder={folder}", "steps=1", "examples_per_step=2"])
    assert (folder / "model.safetensors").exists()
    assert "248,896 parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("policy=maze_smal", "did you mean maze_small?"),
        ("schedule=constnt", "did you mean constant?"),
        ("task=mazes", "did you mean maze?"),
        ("steps=many", "steps=many: accepted is a whole number from 1 on"),
        ("steps=0", "steps=0: accepted is a whole number from 1 on"),
    ],
)
def test_wrong_settings_are_one_sentence(argument: str, sentence: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        command_line(["warm-start", argument])
    assert sentence in capsys.readouterr().err
