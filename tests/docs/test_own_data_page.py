"""docs/how-to/own-data.md: from a file of problems to a table, and what can't be judged."""

import json
import re
import runpy
from pathlib import Path

import pytest
from markdown_commands import ROOT, commands_of

from rlvr.cli.main import main
from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.runs.run import run

PAGE = ROOT / "docs" / "how-to" / "own-data.md"
SMALL = [
    *("tracking=local", "training.prompts_per_step=4", "training.mini_batch_prompts=4"),
    *("training.checkpoint_every=1", "evaluation.validation_samples=1", "evaluation.samples=4"),
    *("evaluation.k=[1,4]", "benchmark.tasks.jsonl.size=4", "hydra/launcher=basic"),
]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The page's first three, and the mixture's, in a folder where the first one was done."""
    monkeypatch.chdir(tmp_path)
    script, *others = (list(c.words) for c in commands_of(PAGE) if c.needs == "the files of this page")
    assert script[0] == "python" and [words[0] for words in others] == ["rlvr"] * 3
    runpy.run_path(str(ROOT / script[1]))
    return [words[1:] for words in others]


def test_from_a_file_of_problems_to_a_table(commands: list[list[str]], capsys: pytest.CaptureFixture):
    rows = [json.loads(line) for line in Path("questions.jsonl").read_text().splitlines()]
    held_out = [json.loads(line) for line in Path("held-out.jsonl").read_text().splitlines()]
    assert len({row["problem"] for row in rows + held_out}) == 240
    for row in rows + held_out:
        assert eval(row["problem"].removeprefix("compute ")) == int(row["answer"])
    assert json.dumps(rows[0]) in PAGE.read_text()

    train, table, _ = commands
    main([*(word.replace("steps=0,100", "steps=0,1") for word in train), *SMALL])
    main(table)
    said = capsys.readouterr().out
    assert re.search(r"^steps=1 +1 +\d+\.\d±", said, re.MULTILINE)
    assert re.search(r"^  − steps=0 +[+−]\d", said, re.MULTILINE)
    assert Path("results/runs/sums/tables/sums-laptop.md").is_file()


def test_a_mixture_trains(commands: list[list[str]]):
    given = [word for word in SMALL if "jsonl" not in word]
    main([*commands[2], *given, "scale=smoke", "training.steps=1", "arm=mixture", "benchmark=countdown_3"])
    (line,) = Path("results/runs/adhoc/mixture/seed-1/metrics.jsonl").read_text().splitlines()
    assert {"reward/source/countdown", "reward/source/jsonl"} <= json.loads(line).keys()


def test_a_policy_that_can_write_no_box_is_not_judged_by_one(commands: list[list[str]]):
    words = [word for word in commands[0][2:] if not word.startswith("verifier=")]
    given = [word for word in words if "steps=" not in word] + SMALL[:-1]
    with pytest.raises(UserError, match=r"judged by verifier=math, which reads .* choose verifier=integer"):
        run(load_config(given))
    parameter = load_config([*given, "data.parameters.verifier=integer"])  # the benchmark's too
    assert parameter.benchmark.tasks["jsonl"].parameters["verifier"] == "integer"
    assert load_config(given).benchmark.tasks["jsonl"].parameters["verifier"] == "math"
