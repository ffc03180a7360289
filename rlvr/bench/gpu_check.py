"""`make gpu-check`: the tests on CUDA, then what an update, sampling and a whole step take, in nine minutes.

    python -m rlvr.bench.gpu_check              on a GPU: results/bench/<gpu>.json
    python -m rlvr.bench.gpu_check --dry-run    the same code in tiny shapes, on a CPU too

Needs no network and no weights: shapes are Qwen2.5's, their numbers random. Every part is a process with a
time of its own; what it measures is written at once, and a part that fails is a line that says why.
"""

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from rlvr.files.atomic import write_whole
from rlvr.files.git import git
from rlvr.files.run_directory import installed_versions

MINUTES = 9.0
EXIT_SECONDS = 10.0  # for a part that has said everything: threads of vLLM and NCCL may not end
# pytest says it of a test at once, and with the reason once all have run
FAILED = re.compile(r"(?P<at_once>\S+::.* )?(FAILED|ERROR)( |$)")
NAMED = ("torch", "transformers", "vllm", "peft", "liger-kernel", "trl", "verl", "triton")


@dataclass(frozen=True, slots=True)
class Part:
    """A process and how long it may take, of which all it says is kept."""

    name: str
    seconds: float
    given: dict[str, Any] = field(default_factory=dict)

    def command(self, seconds: float, dry: bool) -> list[str]:
        if self.name == "tests":
            return [sys.executable, "-m", "pytest", "-vv", "-m", "gpu", "tests/gpu"]
        given = {**self.given, "dry": dry, "seconds": seconds}
        return [sys.executable, "-m", "rlvr.bench.gpu_parts", self.name, json.dumps(given)]

    @property
    def title(self) -> str:
        return " ".join([self.name, *self.given.values()])


# what is decided by the figures comes first; a part that ends early leaves its time to the others
PARTS = (
    Part("tests", 90),
    Part("update", 80, {"shape": "7B"}),
    Part("update", 70, {"shape": "1.5B"}),
    Part("step", 95, {"engine": "vllm"}),
    Part("step", 50, {"engine": "transformers"}),
    Part("TRL", 60),
    Part("verl", 45),
    Part("update", 50, {"shape": "0.5B"}),
)


class Report:
    """What has been measured so far, written after every line."""

    def __init__(self, folder: Path, dry: bool):
        on_gpu = torch.cuda.is_available()
        self.gpu = torch.cuda.get_device_name() if on_gpu else "cpu"
        name = self.gpu.lower().replace(" ", "-") + ("-dry-run" if dry else "")
        self.file = folder / f"{name}.json"
        self.said: dict[str, Any] = {
            "gpu": self.gpu,
            "memory_gib": torch.cuda.get_device_properties(0).total_memory / 2**30 if on_gpu else None,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "-m", "rlvr.bench.gpu_check", *sys.argv[1:]]),
            "commit": commit(),
            "versions": dict.fromkeys(NAMED) | installed_versions(NAMED),
            "dry_run": dry,
            "parts": [],
        }

    def add(self, line: dict[str, Any]) -> None:
        self.said["parts"].append(line)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file, json.dumps(self.said, indent=1) + "\n")
        print(in_words(line), flush=True)


def in_words(line: dict[str, Any]) -> str:
    """One line of the report as a person reads it."""
    known = ("part", "shape", "rollouts", "tokens", "way", "engine", "against")
    what = " ".join(str(line[key]) for key in known if key in line)
    if "error" in line:
        return f"{what}: {line['error']}"
    seconds = line.get("seconds")
    best = min(seconds) if isinstance(seconds, list) else seconds
    words = [f"{best:.2f} s"] if best is not None else []
    if "share_of_peak" in line:
        words.append(f"{100 * line['share_of_peak']:.0f} % of the peak")
    if "memory_gib" in line:
        words.append(f"{line['memory_gib']['peak']:.1f} GiB")
    if line.get("falls_back"):
        words.append("no fused attention was found among its kernels")
    return f"{what}: {', '.join(words) or line.get('said', 'done')}"


def commit() -> str | None:
    return git(Path.cwd(), "describe", "--always", "--dirty").strip() or None


def run_part(part: Part, seconds: float, dry: bool, report: Report) -> None:
    """Add each line that the part says as soon as it does; end it when its time is over."""
    end, last, over = time.monotonic() + seconds, "", False
    at_once: list[str] = []
    failed: list[str] = []
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            part.command(seconds * 0.9, dry),
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "TOKENIZERS_PARALLELISM": "false"},
            process_group=0,
        )
        for line in lines_until(process, end):
            over, last = line is None, line or last
            if line and part.name != "tests":
                report.add(json.loads(line))
            elif line and (said := FAILED.match(line)):
                (at_once if said["at_once"] else failed).append(line[:300])
        errors.seek(0)
        reason = (errors.read().strip().splitlines() or ["no reason was given"])[-1][:300]
    line, is_tests = {"part": part.title}, part.name == "tests"
    if over:
        line["error"] = f"its {seconds:.0f} seconds were over" + (f" after {last}" if is_tests else "")
    elif is_tests and process.returncode in (0, 5):  # 5: none is left to run
        line["said"] = last
    elif is_tests and process.returncode == 1:
        line["error"] = last or reason
    elif process.returncode:
        line["error"] = f"exit status {process.returncode}: {reason}"
    if is_tests and "error" in line:
        line["failed"] = failed or at_once
    if len(line) > 1:
        report.add(line)


def lines_until(process: subprocess.Popen, end: float) -> Iterator[str | None]:
    """What it prints, line by line; None at the end if it had to be ended before it had said everything."""
    heard = b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            yield None
            return
        if not (piece := os.read(process.stdout.fileno(), 2**16)):
            try:
                process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return
        *lines, heard = (heard + piece).split(b"\n")
        yield from (line.decode() for line in lines if line.strip())


def main(arguments: list[str] | None = None) -> Path:
    """Run all parts within the time; returns the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes, on any machine")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for everything")
    parser.add_argument("--folder", type=Path, default=Path("results/bench"))
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available() and not given.dry_run:
        parser.error("there is no CUDA device: --dry-run runs the same in tiny shapes on a CPU")
    end = time.monotonic() + 60 * given.minutes
    report = Report(given.folder, given.dry_run)
    # in a tiny shape all are one
    parts = [part for part in PARTS if not given.dry_run or part.given.get("shape", "0.5B") == "0.5B"]
    for number, part in enumerate(parts):
        left, planned = end - time.monotonic(), sum(rest.seconds for rest in parts[number:])
        # a share of what is left: what earlier parts did not take is everybody's
        seconds = max(part.seconds * left / planned, 1.0)
        run_part(part, min(seconds, max(left, 1.0)), given.dry_run, report)
    print(f"written to {report.file}")
    return report.file


if __name__ == "__main__":
    main()
