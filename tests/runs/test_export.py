"""An exported checkpoint is a plain transformers folder: nothing of rlvr is needed to use it."""

import json
from pathlib import Path

import pytest
import torch
from readme_of_export import asked_as_the_readme_says
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from rlvr.cli.main import main
from rlvr.config import load_config
from rlvr.config.schema import ModelConfig, VLLMRolloutConfig
from rlvr.data import Problem
from rlvr.errors import UserError
from rlvr.policy.blocks import BlockAttention
from rlvr.policy.policy import Policy, load_policy
from rlvr.policy.prefix_tree import PrefixTree
from rlvr.problems import load_problems
from rlvr.rollout.engine import Sampling
from rlvr.rollout.transformers_engine import TransformersEngine
from rlvr.runs.evaluate import sampling_settings
from rlvr.runs.export import export_run, rebuilt
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


def test_transformers_answers_as_the_evaluation_does_by_the_code_of_the_readme(
    tmp_path: Path, problems: list[Problem], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    greedy = ["evaluation.sampling.temperature=0", "model.prompts.default.instruction=compute"]
    config = load_config([*TINY, f"runs={tmp_path}", *greedy])
    folder = export_run(run(config), tmp_path / "mine", step=2)
    policy = load_policy(folder, settings=config.model)
    sampling = Sampling(**vars(config.evaluation.sampling))
    (group,) = TransformersEngine(policy).generate([(problems[0], 1)], sampling, seed=0)
    capsys.readouterr()
    prompt, answer = asked_as_the_readme_says(folder, problems[0].prompt[0]["content"], monkeypatch, capsys)
    assert policy.tokenizer.encode(prompt, add_special_tokens=False) == group.prompt_ids
    assert policy.tokenizer.decode(group.prompt_ids) != load_policy(folder).tokenizer.decode(
        load_policy(folder).encode(problems[0])
    )
    assert answer == group.completions[0].text


def test_an_export_samples_and_ends_as_the_run_is_evaluated(trained: Path, tmp_path: Path):
    """The base's own temperature, top_k and penalty are not what the run sampled with."""
    base = export_run(trained, tmp_path / "base")
    GenerationConfig(do_sample=True, temperature=0.7, top_k=20, repetition_penalty=1.05).save_pretrained(base)
    sampled = ["evaluation.sampling.temperature=0.6", "evaluation.sampling.top_p=0.95"]
    given = [f"model.path={base}", "model.stop_strings=[' = 24',' no']", *sampled]
    path = run(load_config([*TINY, f"runs={tmp_path}", "training.steps=1", *given]))
    folder = export_run(path, tmp_path / "mine")
    said = GenerationConfig.from_pretrained(folder)
    assert (said.do_sample, said.temperature, said.top_p, said.top_k) == (True, 0.6, 0.95, 0)
    assert said.repetition_penalty is None
    assert said.stop_strings == [" = 24", " no"]
    assert load_policy(folder).stop_strings == (" = 24", " no")
    assert load_policy(folder, settings=ModelConfig(stop_strings=["!"])).stop_strings == (" = 24", " no", "!")
    edited = json.loads((folder / "generation_config.json").read_text()) | {"stop_strings": [""]}
    (folder / "generation_config.json").write_text(json.dumps(edited))
    with pytest.raises(UserError, match=r"ends at the text \[''\]: accepted are texts of one character"):
        load_policy(folder)


def test_the_readme_names_a_reader_that_gives_the_tokens_of_the_run(trained: Path, tmp_path: Path):
    """transformers has the tokenizer of every Qwen2 split as Qwen's does, where numbers are single digits."""
    folder = export_run(trained, tmp_path / "mine")
    own = load_policy(folder).tokenizer
    assert own.convert_ids_to_tokens(own.encode("compute 12 + 7")) == ["compute", "12", "+", "7"]
    readme = (folder / "README.md").read_text()
    assert "tokenizer = PreTrainedTokenizerFast.from_pretrained" in readme and "with other tokens" in readme
    assert rebuilt(own, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt_neox"}))
    assert not rebuilt(own, folder)


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
