"""The part of the verl backend that runs without verl."""

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import torch

from rlvr.backends.verl.data import problem_of, template_switches, write_problems
from rlvr.backends.verl.launch import ATTENTION, Launch, check_attention, end_ids
from rlvr.backends.verl.overrides import ACCEPTED, Job, arguments, differences, refuse, verl_overrides
from rlvr.cli import main as cli
from rlvr.config import PACKAGE, PromptConfig, load_config, run_directory
from rlvr.config.plugins import Plugin
from rlvr.errors import UserError
from rlvr.files.run_directory import read_summary
from rlvr.policy.location import EMBEDDED
from rlvr.problems import load_problems
from rlvr.runs.run import run, trainer_of
from rlvr.runs.start import Start

VERL = ["backend=verl", "rollout=vllm"]
FEW = load_config(["data.size=5", "training.prompts_per_step=1", "training.mini_batch_prompts=1"])
JOB = Job(
    config=Path("/run/config.yaml"),
    train=Path("/run/train.parquet"),
    validation=Path("/run/validation.parquet"),
    folder=Path("/run/verl"),
    model="/model",
    end_ids=[2, 7],
    prompt_tokens=14,
    template={"enable_thinking": False},
    problems=100,
)


def overrides(*changes: str) -> dict:
    return verl_overrides(load_config([*VERL, *changes]), JOB)


def test_the_page_names_whatever_is_refused():
    """What "What is refused" of docs/verl.md calls each of them, and further ones of `_refusals`."""
    page = (PACKAGE.parent / "docs" / "verl.md").read_text()
    section = page.split("## What is refused")[1].split("\n## ")[0]
    names = {
        "reward": "`reward=`",
        "training.optimizer": "optimizers but `adamw`",
        "training.lr_scheduler_type": "`training.lr_scheduler_type=linear`",
        "adapter": "`adapter=lora`",
        "rollout": "sampling with transformers",
        "group_size": "groups of different",
        "curriculum": "the phases of sGPO",
        "algorithm.loss": "losses but `grpo` and `cispo`",
        "credit": "`credit`",
        "training.off_policy_steps": "`training.off_policy_steps=1`",
        "evaluation.rare.prompts": "the set of rare answers",
        "algorithm.old_logprobs": "`algorithm.old_logprobs=engine`",
    }
    assert names.keys() == ACCEPTED.keys()
    others = (
        "`model.chat_template`",
        "`model.stop_strings`",
        "`rollout.engine_args`",
        "weights that mask",
        "methods that remember",
    )
    assert [name for name in (*names.values(), *others) if name not in section] == []


def test_clips_in_verls_offsets():
    """verl bounds CISPO's weight by 1 - low and 1 + high: the paper's 0 and 6 are 1.0 and 5.0 there."""
    actor = "actor_rollout_ref.actor."
    cispo = overrides("algorithm=cispo")
    assert (cispo[f"{actor}clip_ratio_low"], cispo[f"{actor}clip_ratio_high"]) == (1.0, 5.0)
    dapo = overrides("algorithm=dapo")
    assert (dapo[f"{actor}clip_ratio_low"], dapo[f"{actor}clip_ratio_high"]) == (0.2, 0.28)
    assert dapo[f"{actor}policy_loss.loss_mode"] == "rlvr_grpo"
    assert f"{actor}clip_ratio_c=inf" in arguments(dapo)
    assert overrides("algorithm.dual_clip=3")[f"{actor}clip_ratio_c"] == 3


def test_units_that_verl_counts_otherwise():
    """The warm-up is in batches there: 20 optimizer steps of 16 problems are 5 batches of 64."""
    given = overrides(
        "training.warmup_steps=20", "training.prompts_per_step=64", "training.mini_batch_prompts=16"
    )
    assert given["actor_rollout_ref.actor.optim.lr_warmup_steps"] == 5
    assert given["actor_rollout_ref.actor.ppo_mini_batch_size"] == 16
    assert given["actor_rollout_ref.actor.ppo_epochs"] == 1

    assert given["actor_rollout_ref.actor.optim.lr_scheduler_type"] == "constant"
    assert given["actor_rollout_ref.rollout.top_k"] == -1
    assert overrides("training.steps=7", "training.prompts_per_step=32")["trainer.total_epochs"] == 3
    constant = overrides("algorithm=dr_grpo", "training.sampling.max_tokens=9")
    assert constant["actor_rollout_ref.actor.loss_scale_factor"] == 9


def test_passes_over_a_batch_are_verls_epochs_and_shorten_the_warm_up():
    """Ten of a batch's 2 x 4 optimizer steps are two batches, of which verl counts."""
    given = overrides(
        *("training.warmup_steps=10", "training.prompts_per_step=64", "training.mini_batch_prompts=16"),
        "training.num_iterations=2",
    )
    assert given["actor_rollout_ref.actor.ppo_epochs"] == 2
    assert given["actor_rollout_ref.actor.optim.lr_warmup_steps"] == 2


def test_a_rate_that_falls_along_a_cosine_is_verls_own():
    changes = ["training.lr_scheduler_type=cosine", "training.warmup_steps=0"]
    assert overrides(*changes)["actor_rollout_ref.actor.optim.lr_scheduler_type"] == "cosine"
    assert any("falls once a batch" in sentence for sentence in differences(load_config([*VERL, *changes])))
    assert not any("falls once a batch" in sentence for sentence in differences(load_config(VERL)))


def test_a_micro_batch_takes_the_longest_rollout():
    """verl asserts that it does; natively such a rollout is a micro-batch of its own."""
    key = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu"
    limits = ("training.sampling.max_tokens=100", "training.max_tokens_per_micro_batch=")
    assert overrides(limits[0], f"{limits[1]}64")[key] == 14 + 100  # prompt_tokens of the job
    assert overrides(limits[0], f"{limits[1]}4096")[key] == 4096


def test_token_weights_choose_the_trainer_that_has_them():
    modules = "+ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES"
    assert overrides("credit=process_lambda")["trainer.v1.trainer_mode"] == "rlvr_process_lambda"
    assert overrides("credit=process_lambda")[modules].endswith("rlvr.backends.verl.trainer")
    assert overrides()["trainer.v1.trainer_mode"] == "sync"
    assert overrides()[modules] == "rlvr.backends.verl.plugin"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["rollout=transformers"], "nearest valid choice is rollout=vllm"),
        (["group_size=inverse_success"], "nearest valid choice is group_size=fixed"),
        (["training.lr_scheduler_type=linear"], "accepted are constant and cosine"),
        (["model.chat_template=none"], "accept model.chat_template: its workers read the tokenizer's own"),
        (["curriculum=sgpo"], "accepted are shuffled, lim"),
        (["model.stop_strings=[END]"], "nearest valid choice is model.end_tokens"),
        (["algorithm.old_logprobs=engine"], "nearest valid choice is trainer"),
        (["training.off_policy_steps=1"], "nearest valid choice is 0"),
        (["evaluation.rare.prompts=2"], "nearest valid choice is 0"),
        (["credit=process_lambda", "algorithm.kl_coefficient=0.1"], "kl_coefficient=0"),
    ],
)
def test_what_verl_cant_be_told_is_refused(changes: list[str], sentence: str):
    with pytest.raises(UserError, match=sentence):
        refuse(load_config([*VERL, *changes]))


def test_ends_of_the_model_that_verl_cant_be_told_are_refused(tmp_path: Path):
    """Those of a folder, as `model.stop_strings` are; rollouts went on beyond them without a word."""
    folder = tmp_path / "base"
    shutil.copytree(EMBEDDED, folder)
    own = json.loads((folder / "generation_config.json").read_text())
    assert end_ids(load_config([*VERL, f"model.path={folder}"])) == [own["eos_token_id"]]
    (folder / "generation_config.json").write_text(json.dumps(own | {"stop_strings": ["\n\n"]}))
    with pytest.raises(UserError, match=r"does not accept the stop_strings in .*generation_config\.json"):
        end_ids(load_config([*VERL, f"model.path={folder}"]))


def test_a_learned_weight_is_refused(monkeypatch: pytest.MonkeyPatch):
    class Learned(torch.nn.Module):
        def forward(self, correct, group_index):
            return torch.ones_like(correct)

    config = load_config(VERL)
    config.advantage_scaling.name = "learned"
    plugin = Plugin(advantage_scalings={"learned": Learned()})
    monkeypatch.setattr("rlvr.config.plugins.installed", lambda: {"test": plugin})
    with pytest.raises(UserError, match="advantage_scaling=learned: it remembers what it saw"):
        refuse(config)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("algorithm.dynamic_sampling.enabled=true", "dynamic sampling refills without a bound"),
        ("algorithm.dynamic_sampling.enabled=true", "dynamic sampling goes by correctness"),
        ("checkpoint.keep=1", "all checkpoints are kept whole"),
        ("training.deterministic=true", "training.deterministic: verl has settings of its own"),
    ],
)
def test_differences_are_said_where_they_hold(change: str, sentence: str):
    assert any(sentence in d for d in differences(load_config([*VERL, change])))
    assert not any(sentence in d for d in differences(load_config(VERL)))


def test_steps_without_signal_are_steps_on_verl():
    assert any("without signal" in d for d in differences(load_config(VERL)))
    stepping = load_config([*VERL, "training.without_signal=step"])
    assert not any("without signal" in d for d in differences(stepping))


def test_problems_come_back_from_parquet(tmp_path: Path):
    problems = load_problems(FEW.data, held_out=False)
    prompts = {"default": PromptConfig(system="Answer.")}
    table = pd.read_parquet(write_problems({"countdown": problems}, prompts, tmp_path / "train.parquet"))
    back = [problem_of(extra) for extra in table["extra_info"]]
    assert [json.dumps(asdict(p)) for p in back] == [json.dumps(asdict(p)) for p in problems]
    assert [p.prompt for p in back] == [p.prompt for p in problems]
    assert [message["role"] for message in table["prompt"][0]] == ["system", "user"]
    assert table["reward_model"][3]["ground_truth"] == problems[3].answer


def test_one_setting_of_the_chat_template_for_all_prompts():
    problems = [
        *load_problems(FEW.data, held_out=False),
        *load_problems(FEW.benchmark.tasks["gcd"], held_out=True),
    ]
    same = {"default": PromptConfig(thinking=False)}
    assert template_switches(problems, same) == {"enable_thinking": False}
    with pytest.raises(UserError, match="one setting of the chat template"):
        template_switches(problems, same | {"integer": PromptConfig(thinking=True)})


def test_a_dry_run_writes_the_files_and_prints_the_command(tmp_path: Path, capsys: pytest.CaptureFixture):
    smaller = [
        "scale=smoke",
        "data.size=64",
        *VERL,
        f"runs={tmp_path}",
        "advantage_scaling=focal",
        "tracking=local",
    ]
    cli.main(["train", *smaller, "--dry-run"])
    printed = capsys.readouterr().out
    run = run_directory(load_config(smaller))
    assert "-m verl.trainer.main_ppo" in printed
    assert f"data.train_files={run}/verl/train.parquet" in printed
    assert len(pd.read_parquet(run / "verl" / "train.parquet")) == 64
    assert (run / "verl" / "command.sh").read_text().strip() in printed
    assert json.loads((run / "provenance.json").read_text())["data"]
    with pytest.raises(SystemExit):
        native = [override for override in smaller if not override.startswith("backend=")]
        cli.main(["train", *native, "--dry-run"])
    assert "it is for backend=verl" in capsys.readouterr().err


def test_a_resumed_run_is_held_against_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    rows = [{"problem": f"compute {a} + 4", "answer": str(a + 4)} for a in range(16)]
    for name, part in (("questions", rows[:12]), ("held-out", rows[12:])):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    command = [
        *("train", "scale=smoke", *VERL, f"runs={tmp_path}", "arm=a", "tracking=local", "--dry-run"),
        *("data=jsonl", "data.path=questions.jsonl", "benchmark=jsonl", "verifier=integer"),
        *("benchmark.tasks.jsonl.path=held-out.jsonl", "training.prompts_per_step=4"),
        "training.mini_batch_prompts=4",
    ]
    cli.main(command)
    Path("adhoc/a/seed-1/verl/checkpoints/global_step_2").mkdir(parents=True)
    cli.main(command)
    changed = Path("questions.jsonl").read_text().replace('"4"', '"5"')
    Path("questions.jsonl").write_text(changed)
    with pytest.raises(SystemExit):
        cli.main(command)
    assert "jsonl is not what" in capsys.readouterr().err


def test_verl_is_ended_where_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By a deadline as by a signal, which are looked at in one place. verl is a process that sleeps."""
    sleeps = "import pathlib, time; time.sleep(600); pathlib.Path('slept').touch()"
    asleep = Launch([sys.executable, "-c", sleeps], {}, [], [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rlvr.backends.verl.launch.prepare", lambda *_: asleep)
    monkeypatch.setattr("rlvr.backends.verl.launch.importlib.util.find_spec", lambda _: "found")
    config = load_config(["scale=smoke", *VERL, f"runs={tmp_path}", "tracking=local"])
    path = run(config, Start(deadline=time.time() + 1))
    assert not Path("slept").exists()
    assert "trained_steps" not in read_summary(path)


def test_verl_in_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rlvr.runs.run.world_size", lambda: 8)
    with pytest.raises(UserError, match="accepted is one, since verl starts its own"):
        trainer_of(load_config(VERL))


def test_the_policy_before_training_needs_no_verl(tmp_path: Path):
    """The arm of a table that takes no step."""
    config = load_config(
        ["scale=smoke", *VERL, f"runs={tmp_path}", "tracking=local", "training.steps=0", "benchmark=gcd"]
    )
    assert read_summary(run(config))["status"] == "trained"


def test_an_actor_on_a_gpu_has_flash_attn_or_is_told_another_attention(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_attention(["verl"])  # without a GPU nothing attends
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    check_attention(["verl", f"+{ATTENTION}=sdpa"])
    for command in (["verl"], ["verl", f"++{ATTENTION}=flash_attention_2"]):
        with pytest.raises(UserError, match=r"verl\[vllm,fsdp\]==0.9.1.*attn_implementation=sdpa"):
            check_attention(command)
