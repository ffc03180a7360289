"""An exported checkpoint is a plain transformers folder: nothing of rlvr is needed to use it."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr.cli.main import main
from rlvr.config import load_config
from rlvr.config.schema import VLLMRolloutConfig
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.policy.blocks import BlockAttention
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.problems import load_problems
from rlvr.runs.evaluate import sampling_settings
from rlvr.runs.export import export_run
from rlvr.runs.run import run
from rlvr.training.checkpoint import checkpoint_path

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=4",
    "training.steps=2",
    "training.checkpoint_every=1",
    "training.prompts_per_step=4",
    "training.mini_batch_prompts=2",
    "training.learning_rate=1e-3",
    "evaluation.after_training=false",
    "arm=tiny",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(load_config([*TINY, f"runs={tmp_path_factory.mktemp('runs')}"]))


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return load_problems(load_config(TINY).data, held_out=False)[:3]


@torch.no_grad()
def our_logits(policy: Policy, prompt: list[int]) -> torch.Tensor:
    tree = PrefixTree.build([prompt], [[[0]]])
    return policy.logits(policy.hidden(tree.tokens_T, tree.positions_T, BlockAttention(tree)))


@torch.no_grad()
def test_transformers_loads_it_and_gives_the_same_logits(
    trained: Path, tmp_path: Path, problems: list[Problem], capsys: pytest.CaptureFixture
):
    folder = tmp_path / "mine"
    main(["export", str(trained), str(folder), "step=2"])
    assert capsys.readouterr().out.strip() == str(folder)

    policy = load_policy(checkpoint_path(trained, 2))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for problem in problems:
        prompt = policy.encode(problem)
        logits = model(torch.tensor([prompt])).logits[0]
        torch.testing.assert_close(logits, our_logits(policy, prompt), atol=1e-4, rtol=1e-5)
        assert tokenizer.decode(prompt) == policy.tokenizer.decode(prompt)
        assert (logits - our_logits(load_policy("embedded"), prompt)).abs().max() > 1e-2
    assert model.generation_config.eos_token_id == policy.end_ids
    assert not {"trainer.pt", "manifest.json", "optimizer"} & {file.name for file in folder.iterdir()}


def test_the_chat_template_of_a_run_is_that_of_its_samples_and_goes_out_with_it(tmp_path: Path):
    (tmp_path / "mine.jinja").write_text("{{ messages[-1].content }} <answer>")
    given = [f"model.chat_template={tmp_path}/mine.jinja", "training.steps=1"]
    config = load_config([*TINY, f"runs={tmp_path}", *given])
    path = run(config)
    (tmp_path / "mine.jinja").write_text("another: {{ messages[-1].content }}")
    weights = checkpoint_path(path, 1)
    model = sampling_settings(config, weights)["made_with"]["model"]
    other = load_config([*TINY, f"runs={tmp_path}", *given])
    assert model != sampling_settings(other, weights)["made_with"]["model"]
    assert "chat_template" not in sampling_settings(load_config(TINY), weights)["made_with"]["model"]
    tokenizer = AutoTokenizer.from_pretrained(export_run(path, tmp_path / "exported"))
    assert tokenizer.chat_template == config.model.chat_template == "{{ messages[-1].content }} <answer>"
    with pytest.raises(UserError, match=r"with model.chat_template={{ messages.*, not another: {{"):
        run(other)


def test_the_dtype_can_be_chosen(trained: Path, tmp_path: Path):
    half = AutoModelForCausalLM.from_pretrained(export_run(trained, tmp_path / "half", dtype="bfloat16"))
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}


def test_what_can_not_be_exported_is_said_in_a_sentence(trained: Path, tmp_path: Path):
    with pytest.raises(UserError, match="is not a run directory"):
        export_run(tmp_path / "nothing", tmp_path / "mine")
    with pytest.raises(UserError, match="unknown step '3': accepted are 0, 1, 2"):
        export_run(trained, tmp_path / "mine", step=3)
    with pytest.raises(UserError, match="did you mean bfloat16"):
        export_run(trained, tmp_path / "mine", dtype="bfloat")
    with pytest.raises(UserError, match="is there already"):
        export_run(trained, trained)


@pytest.mark.vllm
@torch.no_grad()
def test_vllm_loads_it_and_gives_the_same_log_probabilities(
    trained: Path, tmp_path: Path, problems: list[Problem]
):
    from rlvr.rollout.engine import Sampling
    from rlvr.rollout.vllm_engine import VLLMEngine

    folder = export_run(trained, tmp_path / "mine", step="2")
    policy = load_policy(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    engine = VLLMEngine(
        folder,
        policy.tokenizer,
        policy.encode,
        VLLMRolloutConfig(enforce_eager=True),
        max_model_len=64,
        end_ids=policy.end_ids,
    )
    groups = engine.generate([(problem, 3) for problem in problems], Sampling(max_tokens=12), seed=0)
    engine.close()
    for group in groups:
        for completion in group.completions:
            ids = completion.token_ids
            logits = model(torch.tensor([group.prompt_ids + ids])).logits[0, len(group.prompt_ids) - 1 : -1]
            logp = logits.log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]
            assert completion.logprobs == pytest.approx(logp.tolist(), abs=1e-4)
