"""docs/how-to/rewards.md, followed by the letter in a folder of its own."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from markdown_commands import ROOT, commands_of

from rlvr.config import load_config
from rlvr.runs.run import run

PAGE = ROOT / "docs" / "how-to" / "rewards.md"
FILE = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>.*?)^```$', re.M | re.S)
SMALL = [
    *("tracking=local", "training.steps=1", "training.checkpoint_every=1", "evaluation.validation_samples=1"),
    *(
        "training.prompts_per_step=4",
        "training.mini_batch_prompts=2",
        "evaluation.samples=2",
        "evaluation.k=[1]",
    ),
]
COUNTDOWN = ["benchmark=countdown_3", "benchmark.tasks.countdown_3.size=2"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        (tmp_path / file["path"]).write_text(file["text"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(overrides: list[str]) -> tuple[Path, dict]:
    path = run(load_config([*overrides, *SMALL]))
    (metrics,) = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return path, metrics


def test_every_command_of_the_page_trains_what_it_says(folder: Path):
    commands = [list(c.words[2:]) for c in commands_of(PAGE) if c.words[:2] == ("rlvr", "train")]
    assert len(commands) == 4
    configs = [load_config(command) for command in commands]
    assert [config.reward.parameters for config in configs[:2]] == [{}, {"penalty": 0.05}]

    _, metrics = trained([*commands[1], *COUNTDOWN])
    expected = metrics["reward/success_rate"] - 0.05 * metrics["completion/length_mean"]
    assert metrics["reward/mean"] == pytest.approx(expected, rel=1e-5)
    assert metrics["reward/left_out"] == 0

    path, metrics = trained([*commands[2], *COUNTDOWN])
    assert metrics["reward/part/right"] == metrics["reward/success_rate"]
    expected = metrics["reward/part/right"] + 0.2 * metrics["reward/part/plain"]
    assert metrics["reward/mean"] == pytest.approx(expected, rel=1e-5)
    samples = pq.read_table(path / "evaluation" / "countdown_3.parquet").to_pandas()
    plain = ~samples["text"].str.contains("(", regex=False)
    assert samples["reward"].tolist() == pytest.approx((samples["verdict"] == "correct") + 0.2 * plain)
    summary = json.loads((path / "summary.json").read_text())["evaluation"]["countdown_3"]
    assert summary["reward"] == pytest.approx(samples["reward"].mean())  # as many samples of each problem
    step_1 = json.loads((path / "validation.jsonl").read_text().splitlines()[-1])
    assert 0 <= step_1["in_domain/reward"] <= 1.2

    path, metrics = trained(commands[3])
    rows = [json.loads(line) for line in Path("held-out.jsonl").read_text().splitlines()]
    answers = {row["answer"] for row in rows}
    samples = pq.read_table(path / "evaluation" / "jsonl.parquet").to_pandas()
    assert len(samples) == 2 * len(answers)
    for text, verdict in zip(samples["text"], samples["verdict"], strict=True):
        numbers = re.findall(r"\d+", text)
        assert (verdict == "correct") <= (numbers[-1] in answers)
    assert "reward" not in samples
