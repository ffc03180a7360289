"""The check of a GPU in tiny shapes: every part says something, and its figures hang together."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlvr.bench import gpu_check, gpu_shapes, gpu_timing
from rlvr.bench.gpu_check import Part, Report, main, run_part
from rlvr.bench.gpu_parts import tried
from rlvr.bench.gpu_shapes import SHAPES, Work, random_batch, update_flops
from rlvr.bench.gpu_timing import peak_tflops
from rlvr.config import load_config


@pytest.mark.slow
def test_a_dry_run_measures_every_part(tmp_path: Path):
    said = json.loads(main(["--dry-run", "--folder", str(tmp_path), "--minutes", "8"]).read_text())
    lines = said["parts"]
    updates = {
        (line["rollouts"], line["tokens"], line["way"]): line for line in lines if line["part"] == "update"
    }
    ways = {way for _, _, way in updates}
    assert ways == {"full", "checkpointed", "LoRA", "attention kept", "offloaded", "blocks"}
    assert {key[:2] for key in updates} == {(8, 16), (4, 32), (2, 64)}
    for line in updates.values():
        assert "error" not in line, line
        assert min(line["seconds"]) > 0 and line["memory_gib"]["peak"] > line["memory_gib"]["weights"] > 0
        assert line["memory_gib"]["optimizer state"] >= 2 * line["memory_gib"]["gradients"]
    profiled = updates[2, 64, "full"]
    assert profiled["attention_kernels"] and not profiled["falls_back"]
    (step,) = (line for line in lines if line.get("engine") == "transformers")
    assert set(step["stages"]) == {"sampling", "rest", "update", "weight sync"}
    assert 0 < step["mismatch_log_ratio_max"] < 0.5  # in bfloat16
    assert step["seconds"] == pytest.approx(sum(step["stages"].values()))
    assert {line["part"] for line in lines} == {"tests", "update", "step", "TRL", "verl"}


SAYS = """print('{"part": "x", "seconds": 1.0}', flush=True); import os, sys, time; """
PROGRAMS = {
    "late": f"{SAYS} time.sleep(60)",
    "broken": "print('{}'); 1 / 0",
    "tests": "print('x.py::test_one FAILED\\nFAILED x.py::test_one - assert 1 == 2\\n1 failed'); 1 / 0",
    "tests, late": "print('x.py::test_one FAILED [ 50%]\\nx.py::test_two PASSED [100%]', flush=True); "
    "import time; time.sleep(60)",
    "tests, no pytest": "import sys; sys.exit('No module named pytest')",
    "tests, crash": "print('x.py::test_one ERROR', flush=True); import os; os.abort()",
    "lingers": f"{SAYS} print('not ending', file=sys.stderr, flush=True); os.close(1); time.sleep(60)",
}


class Talks(Part):
    """Says a line, and then does not end in time, fails, or has no more to say and does not end."""

    def command(self, seconds: float, dry: bool) -> list[str]:
        return [sys.executable, "-c", PROGRAMS[self.given.get("program", self.name)]]


def test_a_part_that_fails_or_takes_too_long_is_a_line_and_the_rest_is_kept(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(gpu_check, "EXIT_SECONDS", 0.5)
    report = Report(tmp_path, dry=True)
    run_part(Talks("late", 1), 3.0, True, report)
    run_part(Talks("broken", 1), 30.0, True, report)
    run_part(Talks("lingers", 1), 30.0, True, report)
    run_part(Talks("tests", 1), 30.0, True, report)
    written = json.loads(report.file.read_text())["parts"]
    assert written == [
        {"part": "x", "seconds": 1.0},
        {"part": "late", "error": "its 3 seconds were over"},
        {},
        {"part": "broken", "error": "exit status 1: ZeroDivisionError: division by zero"},
        {"part": "x", "seconds": 1.0},
        {"part": "lingers", "error": "exit status -9: not ending"},
        {"part": "tests", "error": "1 failed", "failed": ["FAILED x.py::test_one - assert 1 == 2"]},
    ]


def test_what_the_tests_have_said_is_kept_where_they_do_not_end_well(tmp_path: Path):
    """Before the summary, which comes once all have run: time is up, no pytest, the process dies."""
    report = Report(tmp_path, dry=True)
    for program in ("tests, late", "tests, no pytest", "tests, crash"):
        run_part(Talks("tests", 1, {"program": program}), 3.0, True, report)
    late, missing, crash = report.said["parts"]
    assert late["error"] == "its 3 seconds were over after x.py::test_two PASSED [100%]"
    assert late["failed"] == ["x.py::test_one FAILED [ 50%]"]
    assert missing["error"] == "No module named pytest" and missing["failed"] == []
    assert crash["error"].startswith("exit status -6") and crash["failed"] == ["x.py::test_one ERROR"]


def test_a_machine_without_git_is_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Report(tmp_path, dry=True).said["commit"] is None


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        *(("NVIDIA H200", 989), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA GH200 480GB", 989)),
        *(("NVIDIA H100 PCIe", 756), ("NVIDIA H100 NVL", 835), ("NVIDIA H200 NVL", 835)),
        *(("NVIDIA B200", 2250), ("NVIDIA GB200", 2500), ("NVIDIA H20", None)),
    ],
)
def test_the_peak_is_that_of_the_card(card: str, peak: int | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gpu_timing.torch.cuda, "get_device_name", lambda: card)
    assert peak_tflops() == peak


def test_a_config_is_composed_once_a_work(monkeypatch: pytest.MonkeyPatch):
    """Each takes most of a second, which a part of a minute does not have many times for every update."""
    composed = []
    for remembered in (gpu_shapes.config_of, gpu_shapes.problems):
        remembered.cache_clear()
    monkeypatch.setattr(
        gpu_shapes, "load_config", lambda *given: composed.append(given) or load_config(*given)
    )
    for _ in range(2):
        random_batch(Work("0.5B", 8, 16, "full", dry=True))
        update_flops(Work("0.5B", 8, 16, "full", dry=True))
    assert len(composed) == 2  # the work's, and that of the problems


def test_whatever_a_library_raises_is_a_line():
    """As where Triton's C compiler fails."""

    def fails():
        raise subprocess.CalledProcessError(1, "gcc")

    assert tried(fails)["error"].startswith("CalledProcessError: Command 'gcc' returned")


def test_flops_of_an_update_by_hand():
    """64 rollouts of 512 tokens in groups of 8, prompts of 128: as the figures of an H100 were counted."""
    shape = SHAPES["1.5B"]
    head = 151936 * 1536
    completion, prompts = 64 * 512, 8 * 128
    products = 6 * ((shape.parameters - head) * (completion + prompts) + head * completion)
    pairs = 64 * (512 * 128 + 512**2 / 2) + 8 * 128**2 / 2
    expected = products + 12 * 28 * 12 * 128 * pairs
    assert update_flops(Work("1.5B", 64, 512, "full", dry=False)) == expected
    assert expected / 1.34 / 989e12 == pytest.approx(0.24, abs=0.005)  # seconds and share, as measured
