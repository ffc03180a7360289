"""docs/how-to/from-trl-or-verl.md: verl's data and its reward function, as the page says to give them."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from markdown_commands import ROOT, commands_of

from rlvr.config import load_config
from rlvr.problems import load_problems
from rlvr.runs.run import run

PAGE = ROOT / "docs" / "how-to" / "from-trl-or-verl.md"
FILE = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>.*?)^```$', re.M | re.S)
ASKED = "gcd 4 6"  # all that the embedded policy can read
SMALL = [
    *("scale=smoke", "model=embedded", "tracking=local", "training.steps=1", "training.checkpoint_every=1"),
    *("training.prompts_per_step=4", "training.mini_batch_prompts=4", "evaluation.validation_samples=1"),
    *("evaluation.samples=2", "evaluation.k=[1]"),
]


def verl_row(split: str, index: int, source: str) -> dict:
    return {
        "data_source": source,
        "prompt": [{"role": "system", "content": "compute"}, {"role": "user", "content": ASKED}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(index)},
        "extra_info": {"split": split, "index": index},
    }


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The page's two, in a folder with its file and verl's."""
    for file in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        (tmp_path / file["path"]).write_text(file["text"])
    sources = ["openai/gsm8k", "DigitalLearningGmbH/MATH-lighteval"]
    for split, rows in (("train", 8), ("test", 2)):
        table = pa.Table.from_pylist([verl_row(split, i, sources[i % 2]) for i in range(rows)])
        pq.write_table(table, tmp_path / f"{split}.parquet")
    monkeypatch.chdir(tmp_path)
    train, mapped, *_ = ([*c.words[2:]] for c in commands_of(PAGE) if "data=verl" in c.words)
    return [train, [word for word in mapped if word not in ("--cfg", "job")]]


def test_verl_s_files_and_its_reward_train(commands: list[list[str]]):
    given = [word for word in commands[0] if not word.startswith(("scale=", "model"))]
    assert len(given) == len(commands[0]) - 3
    path = run(load_config([*given, *SMALL]))
    (metrics,) = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert 0 <= metrics["reward/mean"] <= 1
    samples = pq.read_table(path / "evaluation" / "verl.parquet").to_pylist()
    assert len(samples) == 4
    asked = load_problems(load_config([*given, *SMALL]).benchmark.tasks["verl"], held_out=True)
    answers = {problem.id: problem.answer for problem in asked}
    for sample in samples:
        found = re.findall(r"-?\d+", sample["text"])
        right = bool(found) and found[-1] == answers[sample["problem_id"]]
        assert (sample["verdict"] == "correct") <= right
        assert sample["reward"] == pytest.approx(1 if right else 0.1 * bool(found))
    (rollout, *_) = json.loads((path / "rollouts.jsonl").read_text().splitlines()[0])["groups"]
    assert rollout["prompt"] == f"compute\n\n{ASKED}"


def test_each_row_is_judged_by_what_verl_calls_its_source(commands: list[list[str]]):
    problems = load_problems(load_config([*commands[1], "scale=smoke"]).data, held_out=False)
    judges = [problem.verifier.partition("@")[0] for problem in problems]
    assert judges == ["my_score.py:judge", "math"] * 4
    assert problems[1].metadata == {
        "data_source": "DigitalLearningGmbH/MATH-lighteval",
        "extra_info": {"split": "train", "index": 1},
    }
    (bare,) = (load_config([*commands[1], "~data.parameters.metadata.extra_info"]),)
    assert bare.data.parameters["metadata"] == {"data_source": "data_source"}
