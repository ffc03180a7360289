"""What a run will take, from its config alone."""

import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rlvr.cli.main import main as command_line
from rlvr.config import ModelConfig, load_config
from rlvr.errors import UserError
from rlvr.policy.architecture import KNOWN, Architecture, architecture_from, architecture_of
from rlvr.policy.location import EMBEDDED
from rlvr.policy.policy import Policy, load_policy
from rlvr.runs.estimate import Assumptions, assumptions_of, commands, disk, estimate_run

TINY = Architecture(
    layers=2, hidden=4, feed_forward=8, heads=2, key_value_heads=1, head_size=2, vocabulary=10, tied=True
)


def test_f_grpo_takes_153_steps_an_epoch_and_1530_in_all():
    config = load_config(["scale=paper", "advantage_scaling=focal"])
    estimate = estimate_run(config, architecture_of(config.model), Assumptions())
    assert config.data.size == 39_202
    assert (estimate.steps_per_epoch, estimate.steps) == (153, 1530)
    assert (estimate.updates_per_step, estimate.updates) == (4, 6120)
    assert estimate.prompts == 1530 * 256
    assert estimate.rollouts == 1530 * 256 * 8
    assert config.training.checkpoint_every == 153


def test_parameters_of_an_adapter_by_hand():
    """Of a layer with inputs I and outputs O: rank x (I + O)."""
    attention, feed_forward = (4 + 4) + 2 * (4 + 2) + (4 + 4), 2 * (4 + 8) + (8 + 4)
    assert TINY.adapter_parameters(3) == 2 * 3 * (attention + feed_forward)
    assert TINY.adapter_parameters(3, ["q_proj", "down_proj"]) == 2 * 3 * (8 + 12)
    assert KNOWN["Qwen/Qwen2.5-7B"].adapter_parameters(16) == 40_370_176  # as peft counts them


@pytest.mark.parametrize(
    ("overrides", "steps", "checkpoint_every"),
    [
        (["training.epochs=10"], 10 * 153, 153),
        (["training.epochs=1", "data.size=1000"], 3, 3),
        (["training.steps=0"], 0, 153),  # the base policy of a table: steps that are given stand
        (["training.steps=7", "training.checkpoint_every=2"], 7, 2),
    ],
)
def test_epochs_are_counted_in_whole_batches(overrides: list[str], steps: int, checkpoint_every: int):
    training = load_config(["scale=paper", *overrides]).training
    assert (training.steps, training.checkpoint_every) == (steps, checkpoint_every)


def test_steps_need_a_size_or_a_number():
    with pytest.raises(UserError, match=r"try training\.epochs=1"):
        load_config(["training.steps=null"])
    with pytest.raises(UserError, match=r"needs the number of problems, .*give data\.size="):
        load_config(["training.steps=null", "training.epochs=1", "data.size=null"])
    with pytest.raises(UserError, match=r"training\.epochs=0: accepted is 1 or more"):
        load_config(["training.epochs=0"])
    with pytest.raises(UserError, match=r"training\.epochs=3 with training\.steps=200.*=null too"):
        load_config(["training.epochs=3"])  # it was not looked at


@pytest.mark.parametrize(
    ("model", "parameters"),
    [  # as the models' own files count them
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen/Qwen2.5-3B", 3_085_938_688),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("Qwen/Qwen2.5-Math-1.5B", 1_543_714_304),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
        ("Qwen/Qwen3-4B-Base", 4_022_468_096),
        ("meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824),
        ("meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
    ],
)
def test_parameters_of_known_models(model: str, parameters: int):
    assert KNOWN[model].parameters == parameters


def test_parameters_by_hand_and_by_torch(frozen_policy: Policy):
    attention = 4 * (4 + 4 + 2 + 2)  # queries, output, keys, values
    assert TINY.parameters == 2 * (attention + 3 * 4 * 8 + 2 * 4) + 10 * 4 + 4
    embedded = architecture_from(EMBEDDED / "config.json")
    assert embedded.parameters == frozen_policy.model.num_parameters()
    assert architecture_of(ModelConfig(path="embedded")) == embedded
    with pytest.raises(UserError, match=r"did you mean Qwen/Qwen2\.5-7B\?"):
        architecture_of(ModelConfig(path="Qwen/Qwen2.5-7b"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is damaged"),
        ("[]", "holds a list, not an object"),
        ("{}", "of no model of the Llama, Qwen2 or Qwen3 family"),
        ('{"model_type": "gpt2", "n_layer": 2, "n_head": 2}', r"of no model .*'num_attention_heads'"),
        (
            '{"num_attention_heads": 0, "num_hidden_layers": 1, "hidden_size": 4, "intermediate_size": 1}',
            "no",
        ),
    ],
)
def test_a_config_that_gives_no_shape_is_a_sentence(content: str, said: str, tmp_path: Path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=rf"config\.json.*{said}"):
        architecture_of(ModelConfig(path=str(tmp_path)))


def test_operations_and_bytes_by_hand():
    assert TINY.forward_operations(context=10) == 2 * TINY.parameters + 2 * 2 * 10 * 2 * (2 * 2)
    assert TINY.key_value_bytes() == 2 * 2 * 1 * 2 * 2  # keys and values, layers, heads, numbers, bytes


def test_hours_by_hand():
    """One update a step, no evaluation samples to speak of, one GPU of 1 TFLOP/s used in full."""
    config = load_config(
        [
            "training.steps=10",
            "training.prompts_per_step=4",
            "training.mini_batch_prompts=4",
            "group_size.n=2",
        ]
    )
    given = Assumptions(
        gpus=1,
        peak_tflops=1,
        sampling_share=1,
        training_share=1,
        mean_tokens=16,
        prompt_tokens=5,
        layer_ms=1e-9,
    )
    estimate = estimate_run(config, TINY, given)
    tokens, prompt_tokens = 10 * 4 * 2 * 16, 10 * 4 * 5
    operations = TINY.forward_operations(5 + 8) * (tokens + prompt_tokens)
    assert estimate.tokens == tokens
    assert estimate.sampling_hours == pytest.approx(operations / 1e12 / 3600)
    assert estimate.training_hours == pytest.approx(3 * operations / 1e12 / 3600)

    four = load_config(
        [
            "training.steps=10",
            "training.prompts_per_step=4",
            "training.mini_batch_prompts=1",
            "group_size.n=2",
        ]
    )
    assert estimate_run(four, TINY, given).training_hours == pytest.approx(3.75 * operations / 1e12 / 3600)


def test_a_completion_is_never_longer_than_its_maximum():
    estimate = estimate_run(load_config(), TINY, Assumptions(mean_tokens=1000))
    assert estimate.tokens == estimate.tokens_at_most == estimate.rollouts * 16
    assert estimate.evaluation_tokens == estimate.evaluation_samples * 16
    assert estimate.disk_gib["evaluation"] == pytest.approx(2 * estimate.evaluation_tokens / 2**30)


def test_disk_by_hand():
    weights = 4 * TINY.parameters / 2**30
    parts = disk(load_config(["model.dtype=float32"]), TINY, tokens=0)
    assert parts["checkpoints"] == pytest.approx(weights * (1 + 3 * 4))


def test_what_is_given_goes_before_what_is_assumed():
    given = assumptions_of({"gpus": 8, "peak_tflops": 312.0})
    assert (given.gpus, given.peak_tflops, given.mean_tokens) == (8, 312.0, 1000)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlvr.problems.location.reachable", lambda address=None: False)
    monkeypatch.setattr("rlvr.policy.location.reachable", lambda: False)
    monkeypatch.setattr("rlvr.policy.location.cached_snapshot", lambda *_: None)


def test_the_table_of_the_paper_in_words(no_network: None, capsys: pytest.CaptureFixture):
    command_line(["plan", "table=fgrpo/table1", "scale=paper"])
    said = capsys.readouterr().out
    assert "7 runs" in said
    assert "153 steps an epoch, 1,530 in all, 4 updates each: 6,120 optimizer steps" in said
    assert "391,680 prompts, 3,133,440 rollouts" in said
    assert "assumed     gpus=16" in said
    assert said.count("LATER  ") == 11  # the model, the data and nine benchmarks
    assert "note     what is marked LATER is looked for on the hub when the run starts\n" in said
    assert "MISSING" not in said and "run it      rlvr reproduce" in said
    assert "hf download Qwen/Qwen2.5-7B" in said


def test_the_command_of_a_plan_runs_what_was_planned(tmp_path: Path, capsys: pytest.CaptureFixture):
    """With its seeds and the folder of its table."""
    table = "title: One\nmetrics: [pass@1]\narms: [{name: grpo, label: GRPO}]\ncolumns: {in_domain: [gcd]}\n"
    (tmp_path / "own.yaml").write_text(table)
    command_line(["plan", "table=own", f"experiments={tmp_path}", "scale=laptop", "seeds=3,4"])
    said = capsys.readouterr().out
    assert f"run it      rlvr reproduce table=own scale=laptop seeds=3,4 experiments={tmp_path}\n" in said


def test_a_table_is_planned_at_its_own_scale(tmp_path: Path, capsys: pytest.CaptureFixture):
    table = "title: One\nmetrics: [pass@1]\narms: [{name: grpo, label: GRPO}]\ncolumns: {in_domain: [gcd]}\n"
    (tmp_path / "own.yaml").write_text(f"scale: smoke\n{table}")
    command_line(["plan", "table=own", f"experiments={tmp_path}"])
    assert "run it      rlvr reproduce table=own scale=smoke " in capsys.readouterr().out


def test_what_is_here_is_checked(no_network: None, capsys: pytest.CaptureFixture):
    command_line(["plan", "benchmark=countdown_3", "data.size=64"])
    said = capsys.readouterr().out
    assert "ok       countdown: 64 problems" in said
    assert "ok       no problem of the benchmarks (countdown_3) is in the training data" in said
    assert "MISSING" not in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="plans for the GPUs that are here")
def test_a_laptops_run_is_planned_for_its_cores(capsys: pytest.CaptureFixture):
    """Without a GPU and without gpus=: no cluster, no memory of cards, no command for several processes."""
    command_line(["plan", "scale=laptop", "benchmark=countdown_3", "data.size=64"])
    said = capsys.readouterr().out
    assert "0.82 million parameters" in said
    assert "time        on CPU cores, not estimated" in said
    assert "assumed     mean_tokens=16\n" in said  # a completion has no more
    assert "run it      rlvr train scale=laptop benchmark=countdown_3 data.size=64\n" in said
    assert "GPUs" not in said
    command_line(["plan", "scale=laptop", "benchmark=countdown_3", "data.size=64", "gpus=8"])
    assert (
        "rlvr train scale=laptop benchmark=countdown_3 data.size=64 gpus_per_run=8\n"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("gpus", "command"),
    [
        (1, "run it      rlvr reproduce table=fgrpo/table1"),
        (8, "run it      rlvr reproduce table=fgrpo/table1 gpus_per_run=8"),
        (16, "run it      rlvr reproduce table=fgrpo/table1 gpus_per_run=16 cluster=slurm"),
    ],
)
def test_a_table_is_started_on_the_gpus_it_was_planned_for(gpus: int, command: str):
    """Before, a plan for eight GPUs a run ended with a command that gives each run one."""
    assert list(commands(["reproduce", "table=fgrpo/table1"], gpus, of_table=True)) == [command]


def test_sizes_that_are_left_to_a_file_are_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Three problems, 64 samples of each, and as many of two at step 0 and after the one step."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("train", 5), ("held-out", 3)):
        lines = [json.dumps({"problem": f"{name} {i}?", "answer": f"{i}"}) + "\n" for i in range(rows)]
        Path(f"{name}.jsonl").write_text("".join(lines))
    own = ["data=jsonl", "data.path=train.jsonl", "data.size=null"]
    own += ["benchmark=jsonl", "benchmark.tasks.jsonl.path=held-out.jsonl"]
    steps = ["training.steps=1", "training.prompts_per_step=4", "training.mini_batch_prompts=4"]
    samples = ["evaluation.samples=64", "evaluation.k=[1]", "evaluation.validation_samples=2"]
    command_line(["plan", "scale=smoke", *own, *steps, *samples])
    said = capsys.readouterr().out
    assert f"{3 * 64 + 3 * 2 * 2} samples of 1 benchmark," in said
    assert "jsonl: 5 problems, 4 a step" in said
    assert "no problem of the benchmarks (jsonl) is in the training data" in said


@pytest.mark.parametrize("damage", ["a tensor less", "another architecture"])
def test_what_training_would_refuse_is_said_of_a_models_folder(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """The sentence of loading the weights, from their header alone."""
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    if damage == "a tensor less":
        weights = load_file(folder / "model.safetensors")
        del weights["model.layers.1.self_attn.q_proj.weight"]
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    else:
        about = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(about | {"model_type": "bert"}))
    with pytest.raises(UserError) as refused:
        load_policy(folder)
    words = ["plan", "model=local", f"model.path={folder}", "benchmark=countdown_3", "data.size=64"]
    with pytest.raises(SystemExit) as ended:
        command_line(words)
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert f"MISSING  {refused.value}" in said.out
    assert said.err.endswith(f"rlvr: a run would not start: {refused.value}\n")


def test_a_file_that_is_not_there_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Of the data as of a benchmark; the command that would fail is not printed."""
    words = ["plan", "data=jsonl", f"data.path={tmp_path}/none.jsonl", "data.size=64"]
    words += ["benchmark=jsonl", f"benchmark.tasks.jsonl.path={tmp_path}/no.jsonl"]
    with pytest.raises(SystemExit) as ended:
        command_line(words)
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.out.count("MISSING  jsonl: there is no data file") == 2 and "run it" not in said.out
    assert f"a run would not start: jsonl: there is no data file {tmp_path}/none.jsonl" in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sampling_share": 2.0}, "and at most 1"),
        ({"gpus": 0}, "above 0"),
        ({"gpu_gib": math.inf}, "above 0"),
    ],
)
def test_what_a_plan_assumes_has_a_range(given: dict[str, float], said: str):
    with pytest.raises(UserError, match=said):
        Assumptions(**given)


def test_a_benchmark_with_the_name_of_the_training_data_is_not_taken_for_it(capsys: pytest.CaptureFixture):
    command_line(["plan", "data=countdown", "benchmark=countdown_3", "data.name=countdown_3", "data.size=64"])
    said = capsys.readouterr().out
    assert "ok       countdown_3: 64 problems\nok       countdown_3: 48 problems\n" in said
    assert "ok       no problem of the benchmarks (countdown_3) is in the training data" in said


def test_overlap_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [{"prompt": f"How many are {i}?", "answer": f"{i}"} for i in range(64)]
    (tmp_path / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"problem": "how many are $5$?", "answer": "5"}, {"problem": "How many are 99?", "answer": "99"}]
    (tmp_path / "tested.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    command_line(
        [
            "plan",
            "data=limr",
            f"data.path={tmp_path}/training.jsonl",
            "data.size=64",
            "data.parameters.rows=64",
            "benchmark=aime24",
            f"benchmark.tasks.aime24.path={tmp_path}/tested.jsonl",
            "benchmark.tasks.aime24.size=2",
            "benchmark.tasks.aime24.parameters.rows=2",
        ]
    )
    assert "OVERLAP  1 problems of aime24 are in limr: aime24/" in capsys.readouterr().out


def test_a_token_takes_its_time_however_small_the_model():
    """Ten steps of 8 rollouts in waves of 4, 16 tokens each, two layers of a second."""
    config = load_config(
        [
            "training.steps=10",
            "training.prompts_per_step=4",
            "training.mini_batch_prompts=4",
            "group_size.n=2",
            "rollout.max_rows=4",
        ]
    )
    estimate = estimate_run(config, TINY, Assumptions(gpus=1, layer_ms=1000))
    assert estimate.sampling_hours == pytest.approx(10 * 2 * 16 * 2 / 3600)
    faster = estimate_run(config, TINY, Assumptions(gpus=1, layer_ms=1))
    assert estimate.evaluation_hours == pytest.approx(1000 * faster.evaluation_hours)


@pytest.mark.slow
def test_the_mazes_at_the_papers_size_in_words(capsys: pytest.CaptureFixture):
    command_line(["plan", "table=fgrpo/table4", "scale=gpu", "mean_tokens=50"])
    said = capsys.readouterr().out
    assert "19 runs" in said  # six group sizes, three exponents, the supervised policy
    assert "5,120,000 prompts, 655,360,000 rollouts" in said  # 20,000 steps of 256, N = 128
    assert "gpus=1 " in said.replace(",", " ") and "mean_tokens=50" in said
    assert "maze_17 is drawn on the training side of the split" in said


def test_a_mixture_of_experts_is_not_planned_as_a_dense_model(tmp_path: Path):
    """Mixtral's eight experts counted as one: 7 of 47 billion parameters."""
    known = json.loads((EMBEDDED / "config.json").read_text())
    for key in ("num_experts", "num_local_experts", "n_routed_experts"):
        (tmp_path / "config.json").write_text(json.dumps(known | {key: 8}))
        with pytest.raises(UserError, match=f"of no model of the Llama.*{key}"):
            architecture_from(tmp_path / "config.json")


def test_a_group_size_that_has_no_largest_one_is_not_planned():
    """A plug-in's has the keys it likes; the plan ended with a traceback."""

    @dataclass
    class Mine:
        name: str = "mine"

    config = replace(load_config(), group_size=Mine())
    with pytest.raises(UserError, match="group_size=mine does not say how many rollouts"):
        estimate_run(config, TINY, Assumptions())
