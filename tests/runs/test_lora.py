"""A run with adapter=lora, from its first step to a folder that others load."""

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from readme_of_export import asked_as_the_readme_says
from safetensors import safe_open
from tiny_runs import tiny
from training_groups import RIGHT, WRONG, make_groups
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel

from rlvr.config import config_from_yaml, identity, load_config
from rlvr.errors import UserError
from rlvr.policy.adapter import Adapter, trained
from rlvr.policy.policy import EMBEDDED, load_policy
from rlvr.runs.evaluation_config import config_of_run
from rlvr.runs.export import export_run
from rlvr.runs.run import run
from rlvr.runs.start import Start
from rlvr.training.batch import make_batch
from rlvr.training.checkpoint import checkpoint_path, load_state
from rlvr.training.layers import compile_layers
from rlvr.training.learner import Learner
from rlvr.training.setup import initial_policy, open_policy

LORA = [
    *("adapter=lora", "adapter.dropout=0.1", "algorithm.kl_coefficient=0.1", "training.learning_rate=1e-2"),
    "training.activation_checkpointing=true",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tiny(tmp_path_factory.mktemp("runs"), *LORA))


def test_a_checkpoint_is_an_adapter_with_its_optimizer_state(finished: Path):
    config = config_from_yaml(finished / "config.yaml")
    checkpoint = checkpoint_path(finished, 2)
    files = sorted(
        file.relative_to(checkpoint).as_posix() for file in checkpoint.rglob("*") if file.is_file()
    )
    assert files == [
        *("adapter_config.json", "adapter_model.safetensors", "base.json", "manifest.json"),
        *("optimizer/state.pt", "trainer.pt"),
    ]
    policy = initial_policy(config, checkpoint)
    of_adapter = trained(policy.model)
    state = load_state(checkpoint)["learner"]["optimizer"]["state"]
    assert [entry["exp_avg"].shape for entry in state.values()] == [p.shape for p in of_adapter.values()]
    numbers = 4 * sum(parameter.numel() for parameter in of_adapter.values())
    assert numbers < sum((checkpoint / file).stat().st_size for file in files) < 3.1 * numbers

    base = dict(load_policy("embedded").weights())
    for name, weight in policy.weights():
        if ".lora_" not in name:
            assert weight.equal(base[name.replace(".base_layer.", ".")])
    with safe_open(checkpoint / "adapter_model.safetensors", framework="pt") as file:
        grown = [file.get_tensor(name).abs().max() > 0 for name in file.keys() if "lora_B" in name]  # noqa: SIM118
    assert len(grown) == 4 * 7 and all(grown)
    assert json.loads((finished / "summary.json").read_text())["status"] == "finished"


def test_it_goes_on_from_a_checkpoint_with_the_same_bits(finished: Path, tmp_path: Path):
    broken_off = tmp_path / finished.relative_to(finished.parents[2])
    shutil.copytree(finished, broken_off)
    shutil.rmtree(checkpoint_path(broken_off, 2))
    shutil.rmtree(broken_off / "evaluation")
    (broken_off / "summary.json").unlink()
    resumed = run(tiny(tmp_path, *LORA))
    files = ["metrics.jsonl", "validation.jsonl", "evaluation/countdown_3.parquet"]
    files.append("checkpoints/step-000002/adapter_model.safetensors")
    for file in files:
        assert (resumed / file).read_bytes() == (finished / file).read_bytes(), file
    ours, theirs = (load_state(checkpoint_path(path, 2))["learner"] for path in (resumed, finished))
    for i, entries in theirs["optimizer"]["state"].items():
        assert all(ours["optimizer"]["state"][i][key].equal(value) for key, value in entries.items())


def test_its_reference_is_the_base_without_a_second_model():
    """The metrics are those with the base's own model as the reference."""
    overrides = [*LORA, "adapter.dropout=0", "training.prompts_per_step=4", "training.mini_batch_prompts=2"]
    config = load_config(overrides)
    groups = make_groups([[RIGHT, WRONG, WRONG], [WRONG, RIGHT], [RIGHT, RIGHT, WRONG], [WRONG, RIGHT]])
    metrics = []
    for reference in (None, load_policy("embedded")):
        policy = open_policy(config, None, "cpu", with_adapter=True)
        for number, parameter in enumerate(trained(policy.model).values()):
            generator = torch.Generator().manual_seed(number)
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
        learner = Learner(policy, config, reference)
        assert learner.reference is reference
        metrics.append(learner.update(make_batch(groups, config)))
    assert metrics[0] == metrics[1]
    without = load_config([*overrides, "algorithm.kl_coefficient=0"])
    policy = open_policy(config, None, "cpu", with_adapter=True)
    assert (
        Learner(policy, without).update(make_batch(groups, without))["update/loss"]
        != metrics[0]["update/loss"]
    )


@pytest.mark.slow
def test_compiled_layers_obey_the_adapter_and_its_absence():
    """transformers' own layers, as on a GPU, traced and differentiated; with a KL term to the base."""
    sizes = ["training.prompts_per_step=2", "training.mini_batch_prompts=2", "adapter.dropout=0"]
    targets = "adapter.target_modules=[q_proj,down_proj]"
    config = load_config([*LORA, *sizes, targets, "training.activation_checkpointing=false"])
    groups = make_groups([[RIGHT, WRONG, WRONG], [WRONG, RIGHT]])
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    metrics = []
    for compiled in (False, True):
        policy = load_policy(
            "embedded",
            runs_on="cuda",
            adapt=lambda model: Adapter(model, config.adapter, path="embedded", seed=1),
        )
        for parameter in trained(policy.model).values():
            generator = torch.Generator().manual_seed(parameter.numel())
            parameter.data.uniform_(-0.1, 0.1, generator=generator)
        if compiled:
            compile_layers(policy, backend="aot_eager")
        metrics.append(Learner(policy, config).update(make_batch(groups, config)))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-4, abs=1e-5)


@torch.no_grad()
def logits(model: PreTrainedModel, prompt: list[int]) -> torch.Tensor:
    return model(torch.tensor([prompt])).logits[0]


def test_it_is_exported_merged_or_alone_and_others_load_it(finished: Path, tmp_path: Path):
    merged, alone = tmp_path / "merged", tmp_path / "alone"
    export_run(finished, merged, step=2)
    export_run(finished, alone, step=2, adapter="keep")
    policy = initial_policy(config_from_yaml(finished / "config.yaml"), checkpoint_path(finished, 2))
    prompt = [5, 6, 7, 8]
    policy.model.set_attn_implementation("eager")
    expected = logits(policy.model, prompt)
    model = AutoModelForCausalLM.from_pretrained(merged)
    torch.testing.assert_close(logits(model, prompt), expected, atol=1e-4, rtol=1e-5)
    assert set(dict(model.named_parameters())) == set(dict(load_policy("embedded").weights()))
    base = AutoModelForCausalLM.from_pretrained(load_policy("embedded").model.name_or_path)
    assert (logits(base, prompt) - expected).abs().max() > 1e-2
    with_adapter = peft.AutoPeftModelForCausalLM.from_pretrained(alone)
    torch.testing.assert_close(logits(with_adapter, prompt), expected, atol=1e-4, rtol=1e-5)
    assert AutoTokenizer.from_pretrained(alone).decode(prompt) == policy.tokenizer.decode(prompt)
    assert not (merged / "base.json").exists()
    half = AutoModelForCausalLM.from_pretrained(export_run(finished, tmp_path / "half", dtype="bfloat16"))
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}


def test_the_code_beside_an_adapter_answers_as_the_merged_model_does(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """With the sampling and the ends of the run, which no file of the base has."""
    greedy = tiny(tmp_path, *LORA, "evaluation.sampling.temperature=0", "evaluation.after_training=false")
    path = run(greedy)
    answers = {}
    for adapter in ("keep", "merge"):
        folder = export_run(path, tmp_path / adapter, step=2, adapter=adapter)
        said = GenerationConfig.from_pretrained(folder)
        assert said.do_sample is False and said.eos_token_id == load_policy("embedded").end_ids
        capsys.readouterr()
        answers[adapter] = asked_as_the_readme_says(folder, "compute 12 + 7 - 3", monkeypatch, capsys)
    assert answers["keep"] == answers["merge"]
    prompt, answer = answers["keep"]
    assert prompt == "<bos> compute 12 + 7 - 3 <answer>" and answer


def test_its_base_is_what_it_was_with_tokenizer_and_all(tmp_path: Path):
    """Checkpoints have the digest of the weights alone: with another template the run was sampled and
    exported in silence, and samples of the template before were taken for the new one's."""
    base = tmp_path / "base"
    shutil.copytree(EMBEDDED, base)
    path = run(tiny(tmp_path, *LORA, f"model.path={base}", "training.steps=1"))
    with (base / "chat_template.jinja").open("a") as template:
        template.write(" ")
    with pytest.raises(UserError, match=r"base is not what .*seed-1 was trained with so far"):
        run(config_of_run(path, []), Start(evaluate=True))
    with pytest.raises(UserError, match=r"base is not what .*seed-1 was trained with so far"):
        export_run(path, tmp_path / "exported")


def test_a_run_of_the_whole_model_has_no_adapter_to_keep(tmp_path: Path):
    config = tiny(tmp_path, "training.steps=0", "evaluation.after_training=false")
    full = run(config)
    with pytest.raises(UserError, match="has no adapter: adapter=keep is for runs with adapter=lora"):
        export_run(full, tmp_path / "mine", adapter="keep")
    # the config of a run from before there was a choice says nothing of it, and it is the same run
    assert "adapter" not in identity(config)
    file = full / "config.yaml"
    text = file.read_text()
    assert "adapter:\n  name: none\n" in text
    file.write_text(text.replace("adapter:\n  name: none\n", ""))
    assert config_from_yaml(file) == config
