"""Profiles of the embedded policy: made, resumed, used and refused."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import rlvr.evaluation.sampling
import rlvr.runs.profile
from rlvr.config import Config, load_config
from rlvr.curriculum.profile import (
    Profile,
    load_profile,
    profile_file,
    profile_name,
    read_profile,
    write_profile,
)
from rlvr.data import Verdict
from rlvr.errors import UserError
from rlvr.evaluation import counts, samples_key
from rlvr.files.run_directory import RunDirectory, refuse_other
from rlvr.policy.location import EMBEDDED
from rlvr.policy.policy import Policy
from rlvr.policy.weights import weights_digest
from rlvr.problems import load_problems
from rlvr.runs.processes import start_run
from rlvr.runs.profile import profile, profile_config
from rlvr.runs.run import contents_behind_paths, load_data, run
from rlvr.runs.start import Start

TINY = [
    "scale=smoke",
    "tracking=local",
    "benchmark=countdown_3",
    "benchmark.tasks.countdown_3.size=2",
    "data.size=24",
    "training.prompts_per_step=8",
    "training.mini_batch_prompts=4",
    "training.steps=6",
    "training.checkpoint_every=2",
    "evaluation.validation_samples=1",
    "evaluation.after_training=false",
    "profile.n=4",
    "curriculum=sgpo",
    "group_size=inverse_success",
]

# 24 problems again
JUDGED_PARTS = [
    "data=[countdown,jsonl]",
    *("data.parts.countdown.size=20", "data.parts.countdown.verifier=mine.py:judge"),
    *(
        "data.parts.jsonl.path=sums.jsonl",
        "data.parts.jsonl.size=4",
        "data.parts.jsonl.verifier=mine.py:judge",
    ),
]


def tiny(folder: Path, *overrides: str) -> Config:
    return load_config([*TINY, f"runs={folder}", *overrides])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with the profile that the tests share."""
    folder = tmp_path_factory.mktemp("runs")
    profile(tiny(folder))
    return folder


@pytest.fixture
def made(runs: Path) -> Profile:
    return read_profile(profile_file(tiny(runs)))


def test_a_profile_holds_the_counts_of_its_samples_and_what_they_cost(
    runs: Path, made: Profile, frozen_policy: Policy
):
    samples = profile_file(tiny(runs)).with_name("profile.parquet")
    problems = load_problems(tiny(runs).data, held_out=False)
    tally = counts(samples)

    assert made.counts == {p.id: (tally["c"][p.id], 4) for p in problems}
    assert 0 < sum(right for right, _ in made.counts.values()) < 4 * 24
    assert made.policy == weights_digest(frozen_policy.model)
    assert made.generated_tokens == sum(pq.read_table(samples)["num_tokens"].to_pylist())
    assert made.prompt_tokens == sum(len(frozen_policy.encode(p)) for p in problems)
    parameters = sum(weight.numel() for weight in frozen_policy.model.parameters())
    assert made.flops == 2 * parameters * (made.prompt_tokens + made.generated_tokens - 4 * 24)
    assert made.seconds > 0


def test_one_profile_serves_every_arm_and_seed_of_the_same_policy_data_and_sampling(runs: Path):
    file = profile_file(tiny(runs))
    same = ["algorithm=dapo", "seed=2", "training.steps=3", "curriculum=shuffled", "evaluation.samples=64"]
    other = ["data.size=25", "training.sampling.temperature=0.5", "profile.n=8", "profile.seed=1"]
    assert {profile_file(tiny(runs, override)) for override in same} == {file}
    other.append("training.precision=bfloat16")
    assert len({profile_file(tiny(runs, override)) for override in other} | {file}) == 6
    quantized = tiny(runs, "rollout=vllm", "+rollout.engine_args.quantization=fp8")
    assert profile_file(tiny(runs, "rollout=vllm")) == file != profile_file(quantized)


def test_a_profile_is_of_the_precision_of_the_runs_and_one_of_float32_keeps_its_name(tmp_path: Path):
    for precision in ("float32", "bfloat16"):
        own = profile_config(tiny(tmp_path, f"training.precision={precision}"))
        assert own.training.precision == precision
        assert profile_file(own) == profile_file(tiny(tmp_path, f"training.precision={precision}"))
    assert profile_name(tiny(tmp_path)) == "embedded-countdown-b0b2a81b"  # of 28 November 2026


@pytest.mark.parametrize(("makes", "work"), [("profile", "profile"), ("rare", "draw")])
def test_what_runs_share_is_made_with_their_threads(
    makes: str, work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whichever process makes it: sums in another order are other samples."""
    threads = []
    monkeypatch.setattr(f"rlvr.runs.run.{work}", lambda *_: threads.append(torch.get_num_threads()))
    for count in (2, 1):
        run(tiny(tmp_path, f"training.threads={count}"), Start(makes=makes))
    assert threads == [2, 1]


def test_a_profile_that_is_asked_to_stop_keeps_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rlvr.runs.profile, "SAMPLES_PER_SHARD", 48)  # two shards
    config, start = tiny(tmp_path), Start(makes="profile", deadline=0.0)
    run(config, start)
    assert not profile_file(config).exists()
    run(config, replace(start, deadline=None))
    assert len(read_profile(profile_file(config)).counts) == 24


@pytest.mark.slow
def test_several_processes_make_the_profile_that_one_makes(runs: Path, made: Profile, tmp_path: Path):
    config = tiny(tmp_path)
    start_run(config, Start(makes="profile", processes=2))
    assert read_profile(profile_file(config)).counts == made.counts


def test_a_finished_profile_is_left_alone(runs: Path):
    file = profile_file(tiny(runs))
    before = file.stat().st_mtime_ns
    assert profile(tiny(runs, "algorithm=dapo")) == file
    assert file.stat().st_mtime_ns == before


def test_a_profile_is_made_anew_where_its_data_has_changed(tmp_path: Path):
    """`rlvr train` refused it and said to run `rlvr profile`, which left the old one alone."""
    rows = [json.dumps({"problem": f"compute {i} + 1", "answer": str(i + 1)}) for i in range(1, 9)]
    file = tmp_path / "rows.jsonl"
    asked = ["data=jsonl", f"data.path={file}", "verifier=integer", "data.size=null"]
    for lines in (rows, rows[1:]):
        file.write_text("\n".join(lines))
        config = tiny(tmp_path / "runs", *asked, "training.prompts_per_step=4")
        profile(config)
        assert len(load_profile(config, load_problems(config.data, held_out=False)).counts) == len(lines)
    named = tiny(
        tmp_path / "runs", *asked, "training.prompts_per_step=4", f"profile.file={tmp_path / 'p.json'}"
    )
    assert profile(named) == tmp_path / "p.json"  # it was written elsewhere, and the run did not find it
    assert len(read_profile(tmp_path / "p.json").counts) == 7
    file.write_text("\n".join(rows))
    with pytest.raises(UserError, match=r"p\.json is a profile of another data set: give another"):
        profile(named)


def test_a_profile_of_another_version_of_its_verifier_is_judged_again(
    made: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It was taken as it was; now no engine is opened, and a run is told what to do first."""
    config = tiny(tmp_path, "training.steps=1")
    file = profile(config)
    verify = rlvr.evaluation.sampling.verify

    def never_right(groups):
        verify(groups)
        for group in groups:
            group.verdicts = [Verdict.WRONG] * len(group.verdicts)

    monkeypatch.setattr(rlvr.runs.profile, "open_engine", None)
    with monkeypatch.context() as patch:
        patch.setattr(samples_key, "verifier_version", lambda name: "another")
        patch.setattr(rlvr.evaluation.sampling, "verify", never_right)
        with pytest.raises(UserError, match=r"another version of it or .*with the same overrides judges"):
            run(config)
        assert profile(config) == file
        assert read_profile(file).counts == {name: (0, of) for name, (_, of) in made.counts.items()}
        assert read_profile(file).generated_tokens == made.generated_tokens
    profile(config)
    assert read_profile(file).counts == made.counts
    older = replace(read_profile(file), judging={})
    write_profile(older, file)
    with pytest.raises(UserError, match="an older file does not say"):
        run(config)
    profile(config)
    assert read_profile(file).judging == samples_key.judging(load_problems(config.data, held_out=False))
    named = tiny(tmp_path, f"profile.file={tmp_path / 'given.json'}")
    write_profile(older, tmp_path / "given.json")
    with pytest.raises(UserError, match=r"given\.json has the counts .*: give another profile.file="):
        profile(named)


@pytest.mark.parametrize("judged", [["verifier=mine.py:judge"], JUDGED_PARTS], ids=["all", "of parts"])
def test_a_profile_by_an_edited_judge_is_that_of_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: list[str]
):
    """The digest of the judge's file is in the profile's name: it was sampled anew beside the first."""
    monkeypatch.chdir(tmp_path)
    sums = [{"problem": f"compute {a} + 4", "answer": str(a + 4)} for a in range(4)]
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sums))
    files, texts = [], []
    for verdict in ("True", "False"):
        Path("mine.py").write_text(f"def judge(problem, text): return {verdict}")
        files.append(profile(tiny(tmp_path / "runs", *judged)))
        texts.append(pq.read_table(files[-1].with_name("profile.parquet"))["text"])
        assert sum(right for right, _ in read_profile(files[-1]).counts.values()) == 96 * (verdict == "True")
        monkeypatch.setattr(rlvr.runs.profile, "open_engine", None)
    assert files[0] != files[1] and texts[0] == texts[1]
    assert sum(right for right, _ in read_profile(files[0]).counts.values()) == 96
    with pytest.raises(TypeError):  # another seed has other samples
        profile(tiny(tmp_path / "runs", *judged, "profile.seed=1"))


def test_a_profile_is_of_the_template_that_its_model_had(tmp_path: Path):
    """Weights alone were looked at."""
    shutil.copytree(EMBEDDED, tmp_path / "model")
    config = tiny(tmp_path / "runs", "training.steps=1", f"model.path={tmp_path / 'model'}")
    profile(config)
    tokenizer = tmp_path / "model" / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text() + " ")
    with pytest.raises(UserError, match=r"is a profile of another policy \(files of .*/model \w+, not \w+\)"):
        run(config)


def test_a_broken_off_profile_goes_on_from_its_last_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Eight problems a shard; the second of three is interrupted."""
    monkeypatch.setattr(rlvr.runs.profile, "SAMPLES_PER_SHARD", 32)
    unbroken = read_profile(profile(tiny(tmp_path / "unbroken")))
    verify, verified = rlvr.evaluation.sampling.verify, []

    def counting(groups):
        if len(verified) == 1:
            verified.append("interrupted")
            raise KeyboardInterrupt
        verified.append(len(groups))
        verify(groups)

    monkeypatch.setattr(rlvr.evaluation.sampling, "verify", counting)
    with pytest.raises(KeyboardInterrupt):
        profile(tiny(tmp_path))
    seconds = json.loads((profile_file(tiny(tmp_path)).parent / "summary.json").read_text())["seconds"]
    resumed = read_profile(profile(tiny(tmp_path)))

    assert verified == [8, "interrupted", 8, 8]
    assert resumed.counts == unbroken.counts
    assert resumed.seconds > seconds["profiling"] > 0


def test_a_profile_of_another_policy_or_data_set_is_refused(runs: Path, made: Profile, tmp_path: Path):
    file = profile_file(tiny(runs))
    other = tmp_path / "profile.json"
    write_profile(replace(made, policy="0123456789abcdef"), other)
    said = (
        r"is a profile of another policy \(weights 0123456789abcdef, not \w+\): give another profile.file=$"
    )
    with pytest.raises(UserError, match=said):  # it said to remove the folder that the file is in
        run(tiny(tmp_path, f"profile.file={other}"))
    with pytest.raises(UserError, match=r"another data set than data=countdown with data.size=25"):
        run(tiny(tmp_path, f"profile.file={file}", "data.size=25"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"counts"', '"count"', "its entries are not those that were written"),
        ('"blake2b"', '"other"', None),  # of an older version, without a digest
        ('"generated_tokens": ', '"generated_tokens": 9', "its entries are not those that were written"),
        ("{", "", "damaged"),
    ],
)
def test_a_damaged_profile_is_a_sentence(runs: Path, tmp_path: Path, old: str, new: str, said: str | None):
    file = tmp_path / "profile.json"
    file.write_text(profile_file(tiny(runs)).read_text().replace(old, new, 1))
    if said is None:
        assert read_profile(file) == read_profile(profile_file(tiny(runs)))
    else:
        with pytest.raises(UserError, match=rf"profile\.json is damaged.*{said}|{said}"):
            read_profile(file)


def test_a_profile_with_other_counts_than_there_are_problems_is_refused(
    runs: Path, made: Profile, tmp_path: Path
):
    config = tiny(tmp_path, f"profile.file={tmp_path / 'profile.json'}")
    problems = load_problems(config.data, held_out=False)
    first, *others = made.counts
    for given, said in (
        ({name: made.counts[name] for name in others}, f"has no counts of {re.escape(first)}"),
        (made.counts | {first: (3, 2)}, r"has the counts \[3, 2\]"),
        (made.counts | {first: (3,)}, r"has the counts \[3\]"),
    ):
        write_profile(replace(made, counts=given), tmp_path / "profile.json")
        with pytest.raises(UserError, match=said):
            load_profile(config, problems)


def test_a_missing_profile_is_one_sentence_and_one_that_is_not_needed_is_not_read(tmp_path: Path):
    with pytest.raises(UserError, match="is not there: make it with `rlvr profile`"):
        run(tiny(tmp_path))
    assert load_profile(tiny(tmp_path, "curriculum=shuffled", "group_size=fixed"), []) is None


def test_a_run_by_a_profile_asks_its_phases_and_counts_everything(runs: Path, made: Profile):
    path = run(tiny(runs, "arm=phases"))
    metrics = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    asked = [json.loads(line)["accuracy"] for line in (path / "accuracy.jsonl").read_text().splitlines()]
    summary = json.loads((path / "summary.json").read_text())

    sizes = [line["curriculum/group_size"] for line in metrics]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 1
    for line, accuracy in zip(metrics, asked, strict=True):
        for problem, (_, answers) in accuracy.items():
            right, _ = made.counts[problem]
            assert answers % line["curriculum/group_size"] == 0  # more than one where a batch asks it again
            assert right <= 3
    assert summary["flops"] == {
        "generated": sum(line["compute/flops_generated"] for line in metrics),
        "trained": sum(line["compute/flops_trained"] for line in metrics),
        "profiling": made.flops,
        "selection": 0.0,
    }
    assert summary["seconds"]["profiling"] == made.seconds


def test_a_run_does_not_go_on_with_another_profile(runs: Path, made: Profile, tmp_path: Path):
    file = tmp_path / "profile.json"
    write_profile(made, file)
    config = tiny(tmp_path, f"profile.file={file}")
    directory = RunDirectory(config)
    load_data(config, directory)
    (directory.path / "checkpoints" / "step-000002").mkdir()
    write_profile(replace(made, seconds=2 * made.seconds), file)  # counts alone decide what is trained on
    load_data(config, directory)
    first = next(iter(made.counts))
    write_profile(replace(made, counts=made.counts | {first: (0, 5)}), file)
    with pytest.raises(UserError, match=r"^the profile is not what .* was trained with so far"):
        load_data(config, directory)
    with pytest.raises(UserError, match=r"^the profile is not what .* was trained with so far"):
        refuse_other(directory.path, "contents", contents_behind_paths(config))  # once it is trained


def test_a_resumed_run_ends_with_the_same_bits(runs: Path):
    """Thrown back to step 2, with what the lost steps left behind still there."""

    def files(path: Path) -> dict[str, bytes]:
        weights = "checkpoints/step-000006/model.safetensors"
        return {name: (path / name).read_bytes() for name in ("metrics.jsonl", "accuracy.jsonl", weights)}

    path = run(tiny(runs, "arm=resumed", "curriculum.phase_end=epochs"))
    unbroken = files(path)
    for lost in ("summary.json", *(f"checkpoints/step-00000{step}/manifest.json" for step in (4, 6))):
        (path / lost).unlink()
    assert files(run(tiny(runs, "arm=resumed", "curriculum.phase_end=epochs"))) == unbroken
