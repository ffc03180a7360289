"""The audit agrees with a table made by hand, and finds each number that is changed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.audit.__main__ import Audit, audit_table, pass_at_k
from tests.audit.judges import judge


@pytest.mark.parametrize(
    ("problem", "answer", "right"),
    [
        ("countdown/3-12-12=27[+-*]", "12+12+3", True),
        ("countdown/3-12-12=27[+-*]", "12+12+3+0", False),
        ("countdown/3-12-12=27[+-*]", "27", False),
        ("countdown/2-3-4=20[+-*]", "(2+3)*4", True),
        ("countdown/2-3-4=14[+-*]", "2+3*4", True),
        ("countdown/2-3-4=20[+-]", "(2+3)*4", False),  # * is not among the operators
        ("countdown/2-3-4=-5[+-*]", "2-3-4", True),
        ("countdown/2-3=-1[+-]", "-3+2", False),  # no sign stands before a number
        ("countdown/2-3=5[+-]", "(2+3", False),
        ("gcd/gcd 120 38", "2", True),
        ("gcd/gcd 120 38", "4", False),
        ("chain_sum/compute 1 - 3 - 9", "-11", True),
        ("another/one", "1", None),
    ],
)
def test_judges_by_hand(problem, answer, right):
    assert judge(problem, answer) is right


def test_pass_at_k_by_hand():
    assert pass_at_k(4, 1, 2) == 0.5  # of the six pairs three have the right one
    assert pass_at_k(4, 0, 4) == 0
    assert pass_at_k(4, 1, 4) == 1


ANSWERS = {  # arm -> answers to two problems, two samples each; right ones first
    "grpo": [("5+3", "wrong"), ("2+3", "correct"), ("6-1", "wrong"), ("1-6", "wrong")],
    "f-grpo": [("3+2", "correct"), ("2+3", "correct"), ("1+6", "correct"), ("6-1", "wrong")],
}
PROBLEMS = ["countdown/2-3=5[+-]", "countdown/1-6=7[+-]"]


def write_run(folder: Path, arm: str) -> None:
    (folder / "evaluation").mkdir(parents=True)
    rows = [(PROBLEMS[i // 2], i % 2, verdict, text) for i, (text, verdict) in enumerate(ANSWERS[arm])]
    samples = pd.DataFrame(rows, columns=["problem_id", "sample", "verdict", "text"])
    file = folder / "evaluation" / "countdown_2.parquet"
    samples.to_parquet(file)
    scores = [{"step": step, "in_domain/pass@1": value} for step, value in [(0, 0.9), (2, 0.5), (4, 0.5)]]
    (folder / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in scores))
    (folder / "accuracy.jsonl").write_text(
        json.dumps({"step": 1, "accuracy": {"countdown/1-1=2[+]": [1, 2]}}) + "\n"
    )
    # one right of two: (1 - 1/2) / (sqrt(1/2) + 1e-6), and with gamma = 1 half of it
    gamma = {"grpo": 0.0, "f-grpo": 1.0}[arm]
    advantage = 0.5 / (0.5**0.5 + 1e-6) * 0.5**gamma
    completions = [
        {"verdict": "correct", "reward": 1.0, "advantage": round(advantage, 6)},
        {"verdict": "wrong", "reward": 0.0, "advantage": -round(advantage, 6)},
    ]
    group = {"problem": "countdown/1-1=2[+]", "focal_weight": 0.5**gamma, "completions": completions}
    (folder / "rollouts.jsonl").write_text(json.dumps({"step": 1, "groups": [group]}) + "\n")
    summary = {
        "arm": arm,
        "seed": 1,
        "checkpoint_step": 2,
        "evaluation": {"countdown_2": {}},
        "files": {
            "evaluation/countdown_2.parquet": {
                "blake2b": hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest(),
                "rows": 4,
            }
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    config = {
        "training": {"steps": 4},
        "algorithm": {"advantage": "group_relative", "normalize_std": True},
        "advantage_scaling": {"name": "focal", "gamma": gamma} if gamma else {"name": "none"},
        "evaluation": {"checkpoint": "best", "latest_step": None},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def audited(tmp_path: Path) -> Callable[[], Audit]:
    """Runs and their table, by hand: pass@1 (1/2 + 0)/2 and (1 + 1/2)/2."""
    for arm in ANSWERS:
        write_run(tmp_path / "runs" / arm / "seed-1", arm)
    rows = []
    for benchmark in ("countdown_2", "average"):
        for arm, value, baseline in (("grpo", 0.25, ""), ("f-grpo", 0.75, "grpo")):
            place = {"arm": arm, "group": "in_domain", "benchmark": benchmark, "k": 1, "seeds": 1}
            numbers = {"value": value, "low": 0.0, "high": 1.0, "difference": 0.5 if baseline else None}
            rows.append(place | numbers | {"baseline": baseline})
    table = tmp_path / "table.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    where = [(arm, tmp_path / "runs" / arm / "seed-1") for arm in ANSWERS]
    pd.DataFrame(where, columns=["arm", "folder"]).to_csv(tmp_path / "table-runs.csv", index=False)
    return lambda: audit_table(table)


def test_a_table_that_follows_from_its_files_agrees(audited):
    audit = audited()
    assert audit.faults == []
    assert audit.compared["cells"] == 4 and audit.compared["differences"] == 2
    assert audit.compared["verdicts"] == 8 and audit.compared["advantages"] == 4


@pytest.mark.parametrize(
    ("file", "before", "after", "subject"),
    [
        ("table.csv", "0.75", "0.7501", "cells"),
        ("table.csv", ",0.5,", ",0.4,", "differences"),
        ("runs/grpo/seed-1/summary.json", '"checkpoint_step": 2', '"checkpoint_step": 4', "checkpoints"),
        ("runs/grpo/seed-1/summary.json", '"rows": 4', '"rows": 5', "counts"),
        ("runs/f-grpo/seed-1/rollouts.jsonl", '"focal_weight": 0.5', '"focal_weight": 1.0', "focal weights"),
        ("runs/f-grpo/seed-1/config.yaml", "gamma: 1.0", "gamma: 2.0", "advantages"),
        ("runs/grpo/seed-1/accuracy.jsonl", "1-1=2[+]", "2-3=5[+-]", "overlap"),
    ],
)
def test_each_change_is_found(audited, tmp_path, file, before, after, subject):
    path = tmp_path / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    assert any(fault.startswith(f"{subject}: ") for fault in audited().faults)


def test_a_verdict_that_was_turned_is_found(audited, tmp_path):
    file = tmp_path / "runs" / "grpo" / "seed-1" / "evaluation" / "countdown_2.parquet"
    samples = pd.read_parquet(file)
    samples.loc[0, "verdict"] = "correct"
    samples.to_parquet(file)
    faults = audited().faults
    assert any(fault.startswith("verdicts: ") and "5+3" in fault for fault in faults)
    assert any(fault.startswith("digests: ") for fault in faults)


def test_problems_that_a_run_could_not_be_judged_on_are_left_out_for_all(audited, tmp_path):
    """Of grpo's second problem nothing could be judged: on the first alone it has 1/2, and f-grpo 1.

    Of two samples there is no pass@4, and an arm whose baseline did not run has no difference."""
    file = tmp_path / "runs" / "grpo" / "seed-1" / "evaluation" / "countdown_2.parquet"
    samples = pd.read_parquet(file)
    samples.loc[samples["problem_id"] == PROBLEMS[1], "verdict"] = "timeout"
    samples.to_parquet(file)
    table = pd.read_csv(tmp_path / "table.csv")
    table["value"] = table["arm"].map({"grpo": 0.5, "f-grpo": 1.0})
    above = table.assign(k=4, value=np.nan, low=np.nan, high=np.nan, difference=np.nan)
    above["baseline"] = above["baseline"].where(above["baseline"].isna(), "not-run")
    pd.concat([table, above]).to_csv(tmp_path / "table.csv", index=False)
    audit = audited()
    assert [fault for fault in audit.faults if not fault.startswith("digests")] == []
    assert audit.compared["cells"] == 8 and audit.compared["differences"] == 2


def test_a_checkpoint_that_could_not_be_judged_or_is_damaged_is_not_the_one_to_choose(audited, tmp_path):
    folder = tmp_path / "runs" / "grpo" / "seed-1"
    (folder / "validation.jsonl").write_text(
        '{"step": 1}\n{"step": 2, "in_domain/pass@1": 0.5}\n{"step": 4, "in_domain/pass@1": 0.9}\n'
    )
    assert any(fault.startswith("checkpoints: grpo seed 1 has step 2") for fault in audited().faults)
    config = (folder / "config.yaml").read_text()
    by_2 = yaml.safe_load(config)
    by_2["evaluation"]["select_by"] = 2
    (folder / "config.yaml").write_text(yaml.safe_dump(by_2))
    text = (folder / "validation.jsonl").read_text()
    (folder / "validation.jsonl").write_text(text.replace("0.5}", '0.5, "in_domain/pass@2": 0.6}'))
    assert audited().faults == []
    (folder / "config.yaml").write_text(config)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"evaluated": {"damaged": {"4": "lost"}}}))
    assert audited().faults == []
