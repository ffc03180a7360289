import pickle
import re
from pathlib import Path
from typing import get_args, get_origin

import pytest

from rlvr.config import (
    CONF,
    EXPERIMENTS,
    arm_name,
    check,
    compose,
    config_from_yaml,
    config_groups,
    elsewhere,
    load_config,
    options_of,
    run_directory,
    to_yaml,
)
from rlvr.config.keys import all_keys
from rlvr.errors import UserError
from rlvr.runs.schedule import schedule_runs
from rlvr.runs.sweep import expand
from rlvr.tables.names import tables
from rlvr.tables.read_spec import read_layout, read_spec

GROUPS = [group for group in config_groups() if group != "hydra"]
OPTIONS = [(group, file.stem) for group in GROUPS for file in sorted((CONF / group).glob("*.yaml"))]


NEEDED = {("model", "local"): ["model.path=embedded"], ("data", "jsonl"): ["data.path=questions.jsonl"]}
NEEDED["data", "mixture"] = ["+data@data.parts.gsm8k=gsm8k"]
NEEDED["benchmark", "jsonl"] = ["benchmark.tasks.jsonl.path=held-out.jsonl"]
NEEDED["data", "verl"] = ["data.path=train.parquet"]
NEEDED["benchmark", "verl"] = ["benchmark.tasks.verl.path=test.parquet"]
NEEDED["algorithm", "ds_grpo"] = ["algorithm.differential_smoothing.correct=0.1"]  # has no published value
NEEDED["reward", "python"] = ["reward.function=mine.py:length@0123"]  # with a digest, as stored


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes(group: str, option: str):
    config = load_config([f"{group}={option}", *NEEDED.get((group, option), [])])
    assert group != "algorithm" or config.algorithm.name == option


@pytest.mark.slow
@pytest.mark.parametrize("table", tables())
def test_every_table_composes_at_every_scale_it_has(table: str):
    layout = read_layout(EXPERIMENTS / f"{table}.yaml")
    for scale in {"laptop", "smoke", *layout.get("scales", {})} & {
        file.stem for file in (CONF / "scale").iterdir()
    }:
        spec = read_spec(EXPERIMENTS / f"{table}.yaml", scale)
        if spec.runs not in (None, table):  # it shows another table's runs, so they have to be the same
            shown = read_spec(EXPERIMENTS / f"{spec.runs}.yaml", scale).arms
            overrides = {arm.name: arm.overrides for arm in shown}
            assert all(overrides[arm.name] == arm.overrides for arm in spec.arms)
            continue
        spec.arms = spec.arms[
            :30
        ]  # composing is slow; tests/runs/test_shootout.py has the arms of the long ones
        scheduled = schedule_runs(spec, [1, 2], [f"scale={scale}", f"experiment={table}/{scale}"])
        assert len({run.directory for run in scheduled}) == len(scheduled) > len(spec.arms)
        benchmarks = {name for run in scheduled for name in run.config.benchmark.tasks}
        assert {name for group in spec.columns.values() for name in group} <= benchmarks


def test_an_arm_that_asks_for_a_key_runs_only_where_it_is_given():
    spec = read_spec(EXPERIMENTS / "fgrpo/table3.yaml", "laptop")
    key = "algorithm.differential_smoothing.correct"
    scheduled = schedule_runs(spec, [1], ["scale=laptop"])
    assert "ds-grpo" not in {run.arm.name for run in scheduled}
    scheduled = schedule_runs(spec, [1], ["scale=laptop", f"{key}=0.01"])
    runs = {run.arm.name: run.config.algorithm for run in scheduled}
    assert runs["ds-grpo"].differential_smoothing.correct == 0.01
    assert {name for name, algorithm in runs.items() if algorithm.differential_smoothing.correct} == {
        "ds-grpo"
    }


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["algorithm=grop"],
            r"unknown algorithm .grop.: accepted are cispo, clip_cov, dapo, dr_grpo, .*"
            r"rloo, w_reinforce; did you mean grpo",
        ),
        (["algoritm=grpo"], r"unknown key in the configuration 'algoritm'.*did you mean algorithm\?"),
        (["actor_rollout_ref.rollout.n=8"], r"'actor_rollout_ref': did you mean group_size.n\? Accepted are"),
        (["loss_type=grpo"], r"'loss_type': did you mean algorithm.aggregation=sequence_mean\? Accepted are"),
        (["lr=1"], r"'lr': did you mean training.learning_rate=1\? Accepted are adapter, "),
        (["algorithm.clip_hihg=1"], r"unknown key in algorithm 'clip_hihg'.*did you mean clip_high\?"),
        (["training.stepss=3"], r"unknown key in training 'stepss'.*did you mean steps\?"),
        (["benchmark=countdwon_3"], r"unknown benchmark 'countdwon_3'.*did you mean countdown_3\?"),
        (["benchmark.tasks.gcd.sze=5"], r"unknown key in benchmark.tasks.gcd 'sze'.*did you mean size\?"),
        (["scale=lapto"], r"unknown scale 'lapto'.*did you mean laptop\?"),
        (["advantage_scaling.gamma=1"], r"unknown key in advantage_scaling 'gamma'"),
        (["algorithm=ds_grpo"], r"algorithm.differential_smoothing.correct has no value"),
        (["model.stop_strings=['']"], r"model.stop_strings=\[''\]: accepted is texts of one character"),
        (["group_size.n=1"], r"group_size.n=1: accepted is 2 to 1,000,000 .*nearest valid choice is 2"),
        (["advantage_scaling=focal", "advantage_scaling.gamma=-1"], r"gamma=-1.0: accepted is 0 or more"),
        (
            ["algorithm=cispo", "algorithm.is_weight_max=1"],
            r"is_weight_max=1.0: accepted is an absolute maximum above 1",
        ),
        (
            ["evaluation.samples=100"],
            r"evaluation.k holds 256, but pass@k needs 1 <= k <= evaluation.samples=100",
        ),
        (
            ["training.mini_batch_prompts=15"],
            r"does not divide prompts_per_step=64; the nearest valid choice is 16",
        ),
        (["training.prompts_per_step=6400"], r"the nearest valid choice is 3200"),
        (["training.precision=fp16"], r"unknown training.precision 'fp16': accepted are bfloat16, float32"),
        (["seed=one"], r"seed: Value 'one'.*could not be converted to Integer"),
        (["data=jsonl"], r"data.path has no value: give one with data.path="),
        (["model=local"], r"model.path has no value: give one with model.path="),
        (["seed"], r"'seed' is not an override: write key=value"),
        (
            ["algorithm.is_weight_max=3"],
            r"'is_weight_max'.*is a key of algorithm.loss=cispo, not of loss=grpo",
        ),
        (["algorithm=cispo", "algorithm.clip_low=0.1"], r"'clip_low'.*key of algorithm.loss=grpo .*, not of"),
        (
            ["algorithm=rloo", "algorithm.ddof=0"],
            r"'ddof'.*is a key of algorithm.advantage=group_relative, not",
        ),
        (["algorithm.loss=gspoo"], r"unknown algorithm.loss 'gspoo': accepted are cispo, .*mean gspo"),
        (["algorithm.advantage=rlo"], r"unknown algorithm.advantage 'rlo'.*did you mean rloo\?"),
        (["algorithm=null"], "Config group override must be a string"),
        (
            ["advantage_scaling=focal", "advantage_scaling.gamma=inf"],
            r"gamma=inf: accepted is a finite number, 0",
        ),
        (["training.gradient_clip=-1"], r"gradient_clip=-1.0: accepted is above 0; .* is 1.0"),
        (["training.gradient_clip=nan"], "gradient_clip=nan: accepted is above 0"),
        (["training.sampling.temperature=-1"], r"temperature=-1.0: accepted is 0.01 or more; .* is 0.01"),
        (["training.sampling.temperature=0"], r"temperature=0.0 \(greedy .*: accepted is 0.01 or more"),
        (["evaluation.sampling.temperature=0.001"], r"accepted is 0 \(greedy .*0.01 or more; .* is 0"),
        (["evaluation.sampling.temperature=nan"], r"temperature=nan: accepted is a finite number, 0 or more"),
        (["evaluation.sampling.max_tokens=0"], r"max_tokens=0: accepted is 1 or more; .* is 1"),
        (["evaluation.validation_samples=0"], "validation_samples=0: accepted is 1 to 1000000"),
        (["evaluation.select_by=0"], "select_by=0: accepted is 1 or more; .* is 1"),
        (["evaluation.select_by=32"], r"=32: accepted is one of 1, 2, 4, 8, 16, .*_samples=16; .* is 16$"),
        (["evaluation.select_by=7"], r"select_by=7: accepted is one of 1, 2, 4, 8, 16, .* is 8$"),
        (["evaluation.select_by=8", "evaluation.validation_samples=4"], r"of 1, 2, 4, which .* is 4$"),
        (["evaluation.select_by=2", "evaluation.k=[4,16]"], r"of 1, 4, 16, which .* is 1$"),
        (["training.sampling.top_p=0"], r"top_p=0.0: accepted is above 0 and at most 1; .* is 1.0"),
        (["training.sampling.top_p=2"], r"top_p=2.0: accepted is above 0 and at most 1; .* is 1"),
        (["training.sampling.top_k=-1"], "top_k=-1: accepted is 0 or more"),
        (["training.lr_scheduler_type=cosin"], r"accepted are constant, cosine, linear; did you mean cosine"),
        (
            ["training.lr_scheduler_type=linear", "training.steps=4", "training.warmup_steps=16"],
            "linear with training.warmup_steps=16 of 16 optimizer steps: .* fewer warm-up steps than 16, or",
        ),
        (["lr_scheduler_type=cosine"], r"did you mean training.lr_scheduler_type=cosine\?"),
        (["training.betas=[1,1]"], r"betas=\[1.0, 1.0\]: accepted is 2 numbers, each 0 or more and below 1"),
        (["training.betas=[0.9]"], r"betas=\[0.9\]: accepted is 2 numbers.* is \[0.9,0.999\]"),
        (["training.learning_rate=inf"], "learning_rate=inf: accepted is a finite number, above 0"),
        (["training.weight_decay=-1"], "weight_decay=-1.0: accepted is 0 or more"),
        (["training.device=tpu"], "device=tpu: accepted is auto, cpu, mps, cuda or cuda:<number>"),
        (
            ["training.device=cuda:1", "rollout=vllm"],
            "device=cuda:1 with.*CUDA_VISIBLE_DEVICES=1 in",
        ),
        (["training.threads=100000"], r"threads=100000: accepted is 1 to 1024; .* is 1024"),
        (["seed=12345678901234567890"], "accepted is 0 to 4294967295"),
        (["rollout.max_rows=0"], "max_rows=0: accepted is 1 or more"),
        (["algorithm.advantage_eps=-1"], "advantage_eps=-1.0: accepted is 0 or more"),
        (
            ["algorithm.entropy_coefficient=nan"],
            "entropy_coefficient=nan: accepted is a finite number; .* is 0.0",
        ),
        (["data.parameters.x=nan"], "data.parameters.x=nan: accepted is a finite number"),
        (
            ["algorithm.overlong_penalty.buffer=17"],
            "accepted is at most training.sampling.max_tokens=16; .* is 16",
        ),
        (["algorithm.dynamic_sampling.max_refills=101"], "max_refills=101: accepted is 0 to 100; .* is 100"),
        (
            ["algorithm=psr", "reward=python", "reward.function=mine.py:length@0123"],
            "reward=python with algorithm.advantage=signed: that estimator sees raw correctness only",
        ),
        (
            ["algorithm.mismatch_cap=2", "algorithm.mismatch_floor=0.5"],
            "mismatch_floor=0.5 with .*=token_truncate: only a mask .*, accepted are token_mask and",
        ),
        (
            ["algorithm.mismatch_cap=2", "algorithm.old_logprobs=engine"],
            "mismatch_cap=2.0 with algorithm.old_logprobs=engine: .*; accepted are mismatch_cap=null, or",
        ),
        (["group_size=inverse_success", "group_size.minimum=16"], "accepted is at most group_size.maximum=8"),
        (["evaluation.k=[]"], "accepted is one k or more"),
        (["evaluation.k=[1,2,1]"], r"each once; the nearest valid choice is \[1, 2\]"),
        (
            ["training.steps=30", "training.checkpoint_every=20", "evaluation.latest_step=19"],
            "latest_step=19: the first checkpoint is that of step 20, accepted are 20 or more and 0",
        ),
        (
            ["training.steps=5", "training.checkpoint_every=20", "evaluation.latest_step=4"],
            "the first checkpoint is that of step 5",
        ),
        (["arm=../../../escaped"], "accepted is a name, or names with / between them"),
        (["experiment=/abs"], "accepted is a name, or names with / between them"),
        (["seed=${oc.env:NO_SUCH_VARIABLE}"], "seed: .*NO_SUCH_VARIABLE"),
    ],
)
def test_bad_input_is_one_sentence_with_the_nearest_choice(overrides: list[str], sentence: str):
    with pytest.raises(UserError) as error:
        load_config(overrides)
    assert re.search(sentence, str(error.value))
    assert "\n" not in str(error.value)


def test_every_number_has_a_range_or_is_any_finite_one():
    """All others refuse a negative number of some size, which is never what was meant."""
    free = {"algorithm.entropy_coefficient", "curriculum.minimum_gain"}
    numbers = [key for key in all_keys() if {key.type, *get_args(key.type)} & {int, float}]
    assert len(numbers) > 60
    for key in numbers:
        value = [-1e9] if get_origin(key.type) is list else -1e9
        if key.name in free:
            continue
        with pytest.raises(UserError, match=re.escape(key.name)):
            key.limits.check(key.name, value)


def test_a_stored_config_is_read_without_resolving_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run's folder may be a stranger's: its config must not read the environment of who looks at it."""
    monkeypatch.setenv("SECRET_OF_THE_VIEWER", "hunter2")
    file = tmp_path / "config.yaml"
    whole = to_yaml(load_config([]))
    for old, new in (
        ("experiment: adhoc", "experiment: ${oc.env:SECRET_OF_THE_VIEWER}"),
        ("experiment: adhoc", 'experiment: "a-${scale.name}"'),
        ("end_tokens: []", "end_tokens: ['${oc.env:SECRET_OF_THE_VIEWER}']"),
    ):
        assert old in whole
        file.write_text(whole.replace(old, new))
        with pytest.raises(UserError, match="holds an interpolation") as error:
            config_from_yaml(file)
        assert "hunter2" not in str(error.value)
    file.write_text(whole)
    assert config_from_yaml(file) == load_config([])


def test_what_config_yaml_could_not_be_read_with_is_refused():
    """The run was trained, and its folder then of no use."""
    with pytest.raises(UserError, match=r"^model.prompts.default.instruction holds '\$\{'"):
        load_config([r"model.prompts.default.instruction='say \${x}'"])


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2]", b"a: [1", b"a: \x00", b"\xff\xfe", b"just words", b"seed: 1\nruns: x\n"]
)
def test_a_damaged_config_file_is_named(content: bytes, tmp_path: Path):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "config.yaml"))):
        config_from_yaml(tmp_path / "config.yaml")


def test_a_key_that_no_file_mentions_can_be_set():
    assert load_config(["training.weight_decay=0.1"]).training.weight_decay == 0.1


def test_the_saved_config_is_enough_to_run_again(tmp_path: Path):
    config = load_config(
        ["algorithm=cispo", "advantage_scaling=focal", "advantage_scaling.gamma=2", "seed=4"]
    )
    assert check(__import__("omegaconf").OmegaConf.create(to_yaml(config))) == config


def test_different_runs_never_share_a_directory():
    jobs = expand(
        [
            "algorithm=grpo,dapo,cispo",
            "advantage_scaling=none,focal",
            "training.learning_rate=1e-4,2e-4",
            "seed=1,2",
        ]
    )
    directories = {run_directory(load_config(job)) for job in jobs}
    assert len(jobs) == len(directories) == 24


def test_what_does_not_change_training_does_not_change_the_name():
    name = arm_name(load_config([]))
    assert name == arm_name(
        load_config(
            [
                "seed=9",
                "evaluation.samples=1024",
                "evaluation.select_by=16",
                "tracking=local",
                "benchmark=gcd",
            ]
        )
    )
    assert name == arm_name(load_config(["training.steps=201"]))  # it may be given more of them
    assert name != arm_name(load_config(["training.warmup_steps=21"]))
    assert name != arm_name(load_config(["training.lr_scheduler_type=cosine"]))
    assert arm_name(load_config(["advantage_scaling=focal"])).startswith("grpo+focal0.5-")
    assert arm_name(load_config(["adapter=lora"])).startswith("grpo+lora16-")
    # a key that comes later changes no name: it goes into `rlvr.config.identity.LATER`
    assert name == "grpo-26db4a89"


def test_laptop_follows_the_paper_where_it_can():
    config = load_config([])
    assert config.training.prompts_per_step // config.training.mini_batch_prompts == 256 // 64
    assert load_config(["algorithm=dapo"]).algorithm.clip_high == 0.28
    cispo = load_config(["algorithm=cispo"]).algorithm
    assert (cispo.is_weight_min, cispo.is_weight_max) == (1 - 1.0, 1 + 5.0)


def test_composing_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from rlvr.config import load_config; load_config([]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert compose([]).seed == 1


def test_a_config_goes_to_another_process_as_it_is():
    """Ranks are sent theirs by pickle; the classes of a loss's and a scaling's keys are made when chosen."""
    config = load_config(["algorithm=cispo", "advantage_scaling=focal", "seed=3"])
    again = pickle.loads(pickle.dumps(config))
    assert to_yaml(again) == to_yaml(config)
    assert again.algorithm.is_weight_max == config.algorithm.is_weight_max


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model.prompts.maths.system=null"], "unknown verifier in model.prompts 'maths'.*did you mean math"),
        ([f"model.sha256={'a' * 64}"], "model.sha256 with model.path=embedded: it is the digest of a GGUF"),
        (["model.revision=main"], "model.revision=main with model.path=embedded, which is not on the hub"),
        (["algorithm.overlong_penalty.factor=0.5"], "factor=0.5 with buffer=0.*a buffer of 1 token or more"),
        (["algorithm.dynamic_sampling.max_refills=9"], "max_refills=9 without dynamic sampling"),
        (["data.root=files"], "data.root=files with countdown, countdown_3,.*no file of a folder"),
    ],
)
def test_what_would_be_passed_over_is_refused(overrides: list[str], sentence: str):
    with pytest.raises(UserError, match=sentence):
        load_config(overrides)
    load_config(["model.prompts.default.system=null", "model.prompts.words.instruction=One word."])
    load_config([f"model.sha256={'a' * 64}", "model.path=some/model.gguf"])
    load_config(["data.root=files", "benchmark=gsm8k"])
    load_config(["algorithm.overlong_penalty={buffer: 8, factor: 0.5}"])
    load_config(["algorithm=dapo", "algorithm.dynamic_sampling={enabled: true, max_refills: 9}"])


def test_every_key_of_another_framework_leads_to_one_that_there_is():
    """Of what is offered each word is a key, or a group with one of its options."""
    known = {key.name.replace("<name>", task) for key in all_keys() for task in ("jsonl", "verl")}
    for given, meant in elsewhere.KEYS.items():
        for word in meant.split(",")[0].split():
            name, _, option = word.partition("=")
            if name in config_groups() and option in options_of(name):
                continue
            is_key = name in known or name in config_groups() or f"algorithm.{name}" in known
            assert is_key or word in ("and", "with", "gpus_per_run"), f"{given}: {word}"
