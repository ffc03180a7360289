"""The page of metrics is generated, and has what trainings log: no more and no less."""

import json
import re
from pathlib import Path

import metrics_reference
import pytest
from tiny_runs import tiny

from rlvr.config import PACKAGE
from rlvr.runs.run import run
from rlvr.training.metrics import METRICS, TIMING, VALIDATION

PARTS = 'def parts(verdict):\n    return {"right": verdict == "correct", "constant": 0.5}\n'
# what one process without a profile or a broken verifier does not log; what computes it has tests of its own
ELSEWHERE = {
    *("curriculum/phase", "curriculum/group_size", "ranks/slowest", "ranks/slowest_over_median"),
    *("groups/unscorable", "reward/source/<name>"),
}


def pattern(name: str) -> re.Pattern:
    return re.compile(re.sub(r"<\w+>", r"\\w+", name))


def test_the_page_is_what_the_script_writes():
    assert metrics_reference.PAGE.read_text(encoding="utf-8") == metrics_reference.page()


def test_a_training_with_everything_on_logs_what_the_page_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(PARTS)
    on = [
        *("algorithm=dapo", "advantage_scaling=focal", "credit=process_lambda", "reward=mine.py:parts"),
        *(
            "algorithm.kl_coefficient=0.01",
            "algorithm.entropy_coefficient=0.01",
            "algorithm.mismatch_cap=2.0",
        ),
        *("evaluation.after_training=false", "training.steps=1"),
    ]
    path = run(tiny(tmp_path, *on))
    for file, metrics in (("metrics", METRICS), ("timing", TIMING), ("validation", VALIDATION)):
        logged = json.loads((path / f"{file}.jsonl").read_text().splitlines()[-1]).keys()
        logged -= {"step", "countdown_3"}
        for name in logged:
            known = [metric.name for metric in metrics if pattern(metric.name).fullmatch(name)]
            assert len(known) == 1, (
                f"{name} of {file}.jsonl has {len(known)} lines in {metrics_reference.PAGE}"
            )
        for metric in metrics:
            found = any(pattern(metric.name).fullmatch(name) for name in logged)
            assert found != (metric.name in ELSEWHERE), metric.name


def test_what_is_logged_elsewhere_is_so_named_in_the_source():
    source = "".join(
        file.read_text() for room in ("curriculum", "training") for file in (PACKAGE / room).rglob("*.py")
    )
    for name in ELSEWHERE:
        assert source.count(f'"{name.partition("<")[0]}') >= 2  # here and where it is computed


def test_every_metric_has_one_line_that_says_something():
    names = [metric.name for metric in (*METRICS, *TIMING, *VALIDATION)]
    assert len(set(names)) == len(names)
    assert all(metric.meaning for metric in (*METRICS, *TIMING, *VALIDATION))
