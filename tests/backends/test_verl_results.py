"""What a run on verl leaves is evaluated like a native run. The test writes verl's files as verl does."""

import json
from pathlib import Path

import pytest
import torch
from wandb_file import history, offline_records

from rlvr.backends.verl.results import in_domain, metrics, take_over
from rlvr.cli import main as cli
from rlvr.config import Config, load_config, run_directory
from rlvr.errors import UserError
from rlvr.files import step_lines
from rlvr.files.run_directory import RunDirectory, read_summary
from rlvr.policy.policy import Policy
from rlvr.tracking.tracker import Tracker
from rlvr.training.checkpoint import checkpoint_path, damage_of


def small(tmp_path: Path) -> list[str]:
    """A run on verl. Evaluation samples with transformers here; verl itself would have refused that."""
    return [
        *["scale=smoke", "backend=verl", "tracking=local", f"runs={tmp_path}", "arm=verl"],
        *["benchmark=countdown_3", "evaluation.samples=4", "evaluation.k=[1,2]", "training.steps=4"],
    ]


def left_by_verl(config: Config, policy: Policy, steps: list[int]) -> Path:
    """global_step_<n>/actor/huggingface, <n>.jsonl of validation samples, and the file logger's lines."""
    verl = run_directory(config) / "verl"
    for step in steps:
        policy.save(verl / "checkpoints" / f"global_step_{step}" / "actor" / "huggingface")
    (verl / "validation").mkdir(parents=True)
    for step, right in ((0, 0), (2, 3), (4, 1)):
        samples = [
            {"benchmark": "countdown_3", "problem": str(i), "acc": float(i < right), "unscorable": 0.0}
            for i in range(4)
        ]
        (verl / "validation" / f"{step}.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
    for started, (first, last) in enumerate([(1, 3), (3, 4)]):  # killed in step 4, gone on from 2
        lines = [{"step": s, "data": {"actor/lr": started + s / 10}} for s in range(first, last + 1)]
        (verl / f"metrics-{started:03d}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return verl


def test_a_run_on_verl_is_taken_over_and_evaluated(tmp_path: Path, policy: Policy):
    config = load_config(small(tmp_path))
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(0.5)
    left_by_verl(config, policy, [2, 4])
    directory = RunDirectory(config)
    take_over(config, directory)
    directory.close()

    run = run_directory(config)
    assert damage_of(checkpoint_path(run, 2)) is None
    assert [line["in_domain/pass@1"] for line in step_lines.read(run / "validation.jsonl")] == [0, 0.75, 0.25]
    assert [line["actor/lr"] for line in step_lines.read(run / "metrics.jsonl")] == [0.1, 0.2, 1.3, 1.4]

    cli.main(["evaluate", f"run={run}"])
    summary = read_summary(run)
    assert summary["status"] == "finished"
    assert summary["checkpoint_step"] == 2  # the best validation
    assert summary["evaluation"]["countdown_3"]["problems"] == config.benchmark.tasks["countdown_3"].size


def test_missing_weights_of_the_last_step_are_an_error(tmp_path: Path, policy: Policy):
    config = load_config(small(tmp_path))
    left_by_verl(config, policy, [2])
    directory = RunDirectory(config)
    with pytest.raises(UserError, match="no whole weights of step 4"):
        take_over(config, directory)
    directory.close()


def validation_samples(file: Path, *samples: tuple[str, str, float | None]) -> None:
    """(benchmark, problem, correctness or None) as verl writes them, with a line end of Unicode's."""
    lines = [
        {"output": "a\u2028b", "benchmark": name, "problem": problem}
        | {"acc": correct or 0.0, "unscorable": float(correct is None)}
        for name, problem, correct in samples
    ]
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def test_the_step_that_verl_goes_on_from_keeps_its_metrics(tmp_path: Path):
    """verl validates before it goes on, and logs that as the step's."""
    starts = [
        [(0, "val", 0.1), (1, "lr", 0.2), (2, "lr", 0.3), (3, "lr", 0.4)],
        [(2, "val", 0.5), (3, "lr", 0.6)],
    ]
    for number, lines in enumerate(starts):
        texts = (json.dumps({"step": step, "data": {name: value}}) + "\n" for step, name, value in lines)
        (tmp_path / f"metrics-{number:03d}.jsonl").write_text("".join(texts))
    expected = {0: {"val": 0.1}, 1: {"lr": 0.2}, 2: {"lr": 0.3, "val": 0.5}, 3: {"lr": 0.6}}
    assert metrics(tmp_path) == expected


def test_validation_averages_benchmarks_not_samples(tmp_path: Path):
    file = tmp_path / "7.jsonl"
    validation_samples(file, ("a", "1", 1.0), ("a", "2", 1.0), ("a", "3", 1.0), ("b", "4", 0.0))
    assert in_domain(file) == {"in_domain/pass@1": 0.5, "a": 1.0, "b": 0.0}
    assert metrics(tmp_path) == {}


def test_validation_has_pass_at_k_of_verls_samples(tmp_path: Path):
    """1 - C(n - c, k) / C(n, k), averaged over problems with k samples, then over benchmarks with such."""
    file = tmp_path / "7.jsonl"
    a = [
        ("a", "1", 1.0),
        ("a", "1", 0.0),
        ("a", "1", 0.0),
        ("a", "2", 0.0),
        ("a", "2", 0.0),
        ("a", "2", None),
    ]
    validation_samples(file, *a, ("b", "3", 1.0), ("b", "3", None), ("c", "4", 1.0), ("c", "4", 1.0))
    found = in_domain(file, [1, 2, 3, 4])
    assert found == pytest.approx(
        {
            "in_domain/pass@1": (1 / 6 + 1 + 1) / 3,
            "in_domain/pass@2": (1 / 3 + 1) / 2,  # of b no problem has two
            "in_domain/pass@3": 1.0,
            "a": 1 / 6,
            "b": 1.0,
            "c": 1.0,
        }
    )


def test_validation_leaves_out_what_could_not_be_judged(tmp_path: Path):
    """As the native one: first samples, then problems and benchmarks without others, then the average."""
    file = tmp_path / "7.jsonl"
    a = [("a", "1", 1.0), ("a", "1", None), ("a", "2", 0.0), ("a", "2", 1.0), ("a", "3", None)]
    validation_samples(file, *a, ("b", "4", None))
    assert in_domain(file) == {"in_domain/pass@1": 0.75, "a": 0.75}  # the mean of 1 and 1/2
    validation_samples(file, ("a", "1", None))
    assert in_domain(file) == {}


def test_what_verl_sent_to_wandb_is_not_sent_again(
    tmp_path: Path, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    config = load_config([*small(tmp_path), "tracking=wandb"])
    left_by_verl(config, policy, [4])
    directory = RunDirectory(config)
    take_over(config, directory)
    directory.close()
    tracker = Tracker(config, directory.path)  # as an evaluation does
    tracker.catch_up()
    tracker.close()
    assert history(offline_records(directory.path)) == []
