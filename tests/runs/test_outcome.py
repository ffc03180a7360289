"""What is printed when runs end."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from reported_runs import EASY, HARD, write_run

from rlvr.files.run_files import RunFiles
from rlvr.runs.outcome import print_outcome

SAMPLES = {EASY: [("correct", "1+2")] * 2 + [("wrong", "3")] * 2, HARD: [("wrong", "7")] * 4}


EVALUATED = {
    f"countdown_{name}": {
        "domain": "out_of_domain" if name == "sum" else "in_domain",
        "problems": 2,
        "samples": 64,
        "pass@k": {str(2**i): value for i in range(7)},
    }
    for name, value in (("3", 1.0), ("large", 0.5), ("sum", None))
}


@pytest.fixture
def told(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")

    def tell(folders: list[Path], again: str = "") -> list[str]:
        print_outcome([(RunFiles(folder).config, folder) for folder in folders], again)
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return tell


def write_sweep(runs: Path, status: str = "finished") -> list[Path]:
    return [
        write_run(runs, f"n={n}", SAMPLES, seed=seed, status=status, overrides=[f"group_size.n={n}"])
        for n in (4, 8)
        for seed in (1, 2)
    ]


def test_a_sweep_ends_with_a_line_an_arm_its_cost_and_the_table_to_make(tmp_path: Path, told):
    lines = told(write_sweep(tmp_path))
    (row,) = (line for line in lines if "n=4" in line)
    assert re.fullmatch(r"n=4 2 25\.0±\S+ 50\.0±\S+", row)
    assert lines[-3:-1] == [
        "training 6 min, evaluation 2 min, 49,380 tokens sampled in training, 8.0 TFLOP, 4 runs together",
        f"written: {tmp_path}/sweep",
    ]
    assert lines[-1] == f"next: rlvr table {tmp_path}/sweep"


def test_the_table_to_make_is_of_the_sweep_alone(tmp_path: Path, told):
    others = ["group_size.n=4", "algorithm=dapo"]
    write_run(tmp_path, "other", SAMPLES, overrides=others)
    assert told(write_sweep(tmp_path))[-1] == f"next: rlvr table {tmp_path}/sweep algorithm=grpo"


@pytest.mark.parametrize(
    ("arms", "baseline"),
    [
        ({"none": [], "focal": ["advantage_scaling=focal"]}, " baseline=advantage_scaling=none"),
        ({"tokens": ["credit=process_lambda"], "outcome": []}, " baseline=credit=outcome"),
        ({"steps=0": [], "steps=4": []}, " baseline=steps=0"),
        ({"focal": ["advantage_scaling=focal"], "dapo": ["algorithm=dapo"]}, ""),  # neither's like is there
        ({"grpo": [], "dapo": ["algorithm=dapo"]}, ""),
    ],
)
def test_the_table_to_make_has_differences_where_one_arm_is_plainly_the_baseline(
    tmp_path: Path, told, arms: dict[str, list[str]], baseline: str
):
    folders = [
        write_run(tmp_path, arm, SAMPLES, steps=0 if arm == "steps=0" else 4, overrides=keys)
        for arm, keys in arms.items()
    ]
    assert told(folders)[-1] == f"next: rlvr table {tmp_path}/sweep{baseline}"


def test_without_an_evaluation_there_is_the_validation(tmp_path: Path, told):
    (folder, *_) = write_sweep(tmp_path, status="trained")
    lines = told([folder])
    (row,) = (line for line in lines if "seed 1" in line)
    assert row.strip("│ ").split(" │ ") == ["n=4, seed 1", "0.0", "40.0", "4", "40.0"]
    assert lines[-1] == f"next: rlvr evaluate run={folder}"


def test_the_validation_is_that_of_the_k_that_checkpoints_are_chosen_by(tmp_path: Path, told):
    """By pass@1 the last one would be the best; an arm beside it goes by pass@1."""
    lines = [
        {"step": step, "in_domain/pass@1": 0.1 * step, "in_domain/pass@4": pass_4}
        for step, pass_4 in ((0, 0.5), (2, 0.75), (4, 0.625))
    ]
    by_4, by_1 = (
        write_run(tmp_path, arm, SAMPLES, status="trained", overrides=[f"evaluation.select_by={k}"])
        for arm, k in (("by 4", 4), ("by 1", 1))
    )
    for folder in (by_4, by_1):
        (folder / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def rows(*folders: Path) -> list[list[str]]:
        return [line.strip("│ ").split(" │ ") for line in told([*folders]) if "seed 1" in line]

    assert rows(by_4) == [["by 4, seed 1", "50.0", "75.0", "2", "62.5"]]
    assert "in-domain pass@4 by validation" in told([by_4])
    assert rows(by_4, by_1) == [
        ["by 4, seed 1, pass@4", "50.0", "75.0", "2", "62.5"],
        ["by 1, seed 1, pass@1", "0.0", "40.0", "4", "40.0"],
    ]
    assert "in-domain pass@1 or pass@4 by validation" in told([by_4, by_1])


def test_a_useless_run_ends_with_what_should_be_looked_at(tmp_path: Path, told):
    folder = write_run(tmp_path, "cut", SAMPLES, status="trained")
    (folder / "metrics.jsonl").write_text('{"step": 1, "completion/truncated": 0.9}\n')
    assert any(line.startswith("warning: ") and "90" in line for line in told([folder]))


def test_a_run_that_is_not_done_goes_on_by_its_command(tmp_path: Path, told):
    folder = write_run(tmp_path, "half", SAMPLES, status="training")
    (folder / "summary.json").write_text("{}")
    assert told([folder], "rlvr train seed=1")[-1] == "next: rlvr train seed=1 (goes on with 1 of 1)"


def test_a_run_ends_with_lines_that_80_columns_hold(tmp_path: Path, told, monkeypatch: pytest.MonkeyPatch):
    """A line a benchmark, those k that there is room for; what is always right has Jeffreys' interval."""
    monkeypatch.setenv("COLUMNS", "80")
    right = {problem: [("correct", "1+2")] * 64 for problem in (EASY, HARD)}
    folder = write_run(tmp_path, "right", right)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"evaluation": EVALUATED}))
    samples = folder / "evaluation/countdown_3.parquet"
    pd.read_parquet(samples).assign(num_tokens=3).to_parquet(samples)
    lines = told([folder])
    assert lines[:5] == [
        "pass@k, % 1 4 16 64",  # four, of seven
        "countdown_3 100.0±33.3 100.0±33.3 100.0±33.3 100.0±33.3",  # (1 - 0.333) / 2, two problems
        "countdown_large 50.0 50.0 50.0 50.0",  # its samples are not there
        "countdown_sum – – – –",
        "in-domain average 75.0 75.0 75.0 75.0",
    ]
    assert lines[6:8] == ["verdicts, % problems correct", "countdown_3 2 100.0"]
    assert any("64 samples a problem, 384 tokens" in line for line in lines)
