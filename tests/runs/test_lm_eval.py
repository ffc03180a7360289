"""Results in lm-evaluation-harness's words: its keys, and its standard error of a mean over problems."""

import json
from math import sqrt

import pytest

from rlvr.cli.main import main
from rlvr.evaluation import counts, pass_at_k


def test_results_are_those_of_the_samples(tmp_path, capsys):
    folder = tmp_path / "run"
    asked = ["model=embedded", "benchmark=countdown_3", "n=4", "benchmark.tasks.countdown_3.size=5"]
    main(["evaluate", *asked, f"folder={folder}", "tracking=local", "--like", "lm-eval"])
    file = folder / "evaluation" / "results_lm_eval.json"
    assert capsys.readouterr().out.strip().endswith(str(file))
    written = json.loads(file.read_text())
    tally = counts(folder / "evaluation" / "countdown_3.parquet")
    shares = [c / n for n, c in zip(tally["n"], tally["c"], strict=True)]
    mean = sum(shares) / 5
    spread = sqrt(sum((share - mean) ** 2 for share in shares) / 4)
    results = written["results"]["countdown_3"]
    assert results["alias"] == "countdown_3"
    assert results["pass@1,none"] == pytest.approx(mean)
    assert results["pass@1_stderr,none"] == pytest.approx(spread / sqrt(5))
    assert results["pass@4,none"] == pytest.approx(pass_at_k(tally["n"], tally["c"], 4).mean())
    assert written["n-samples"] == {"countdown_3": {"original": 5, "effective": 5}}
    assert not any((folder / "checkpoints").iterdir()), "a model is evaluated as it is, not copied"
