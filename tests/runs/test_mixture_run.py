"""A training on two data sets at once: rewards of each, what benchmarks share with them, resumption."""

import json
from pathlib import Path

import pytest
from tiny_runs import tiny

from rlvr.config import Config, config_from_yaml
from rlvr.errors import UserError
from rlvr.files.run_directory import read_summary
from rlvr.runs.run import run

SUMS = [{"problem": f"compute {a} + 4 - 1", "answer": str(a + 3), "kind": "integer"} for a in range(1, 7)]
MIXTURE = [
    *("data=[countdown,jsonl]", "data.parts.countdown.size=2", "data.parts.jsonl.path=sums.jsonl"),
    *("data.parts.jsonl.size=6", "data.parts.jsonl.parameters.fields.verifier=kind"),
    *("training.prompts_per_step=8", "training.mini_batch_prompts=8", "evaluation.after_training=false"),
    *("benchmark=[countdown_3,jsonl]", "benchmark.tasks.jsonl.path=tested.jsonl"),
    "benchmark.tasks.jsonl.parameters.verifier=integer",
]


def write(name: str, rows: list[dict]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def config_of(folder: Path, *overrides: str) -> Config:
    return tiny(folder, *MIXTURE, *overrides)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("sums.jsonl", SUMS)
    write("tested.jsonl", [SUMS[2], {"problem": "compute 7 + 7", "answer": "14"}])


def test_two_steps_on_a_mixture(tmp_path: Path):
    """A step has both parts whole, 2 problems and 6 with as many rollouts each: rewards weigh 1/4 and 3/4."""
    path = run(config_of(tmp_path, "training.steps=2"))
    steps = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2]
    for step in steps:
        of_each = {name: value for name, value in step.items() if name.startswith("reward/source/")}
        weighted = of_each["reward/source/countdown"] / 4 + of_each["reward/source/jsonl"] * 3 / 4
        assert step["reward/mean"] == pytest.approx(weighted, abs=1e-6)
    assert any(step["reward/source/jsonl"] > 0 for step in steps)

    provenance = json.loads((path / "provenance.json").read_text())
    assert provenance["overlap"] == {"jsonl": 1}  # compute 3 + 4 - 1

    # what it was trained on is held against what the files have now
    write("sums.jsonl", [*SUMS[:5], SUMS[5] | {"kind": "words"}])
    with pytest.raises(UserError, match="mixture"):
        run(config_of(tmp_path, "training.steps=3"))
    # and refused, it is what it was: it had 3 steps from then on, and was no run of any table
    assert config_from_yaml(path / "config.yaml").training.steps == 2
    assert read_summary(path)["status"] == "trained"


def test_a_mixture_goes_on_with_the_bits_of_one_that_was_not_stopped(tmp_path: Path):
    whole = run(config_of(tmp_path / "whole", "training.steps=2"))
    run(config_of(tmp_path / "parts", "training.steps=1"))
    parts = run(config_of(tmp_path / "parts", "training.steps=2"))
    assert (parts / "metrics.jsonl").read_text() == (whole / "metrics.jsonl").read_text()
