"""`rlvr bench`: chosen parts, measured, printed, written and held against what is committed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from rlvr.bench import alone, contest, scaling
from rlvr.bench.job import Job, jobs
from rlvr.bench.parts import ALONE, CONTEST, MODELS, PARTS, PRECISIONS
from rlvr.bench.result import Result, committed, save, show
from rlvr.config import load_config
from rlvr.errors import UserError
from rlvr.policy.location import local_files, unavailable


def bench(
    part: Sequence[str] = PARTS,
    model: Sequence[str] = MODELS,
    precision: Sequence[str] = PRECISIONS,
    rounds: int = 5,
    threads: int = 2,
    trl_micro_batch: int | None = None,
    folder: Path = Path("results/bench"),
) -> None:
    """Measure the chosen parts, `rounds` times each; see `rlvr bench --help`."""
    if list(model) == ["embedded"] and "float32" not in precision:
        raise UserError("precision=bfloat16: the embedded policy is timed in float32 only; try model=smollm2")
    console = Console(stderr=True, markup=False)
    smollm2 = folder_of_smollm2(console) if "smollm2" in model else None

    results: list[Result] = []
    if set(part) & set(CONTEST):
        for job in jobs(smollm2, precision, threads):
            job = replace(job, trl_micro_batch=checked_micro_batch(trl_micro_batch, job))
            if job.name != "embedded" or "embedded" in model:
                console.print(f"{job.name}, {job.precision}")
                results += contest.contest(job, part, rounds, console.print)
    if "scaling" in part:
        results += scaling.scaling(threads, console.print)
    results += alone.measure([name for name in part if name in ALONE], rounds)

    pythons = [python for python in (contest.trl_python(), contest.vllm_python()) if python]
    file = save(results, folder, pythons)
    show(results, committed(file))
    console.print(f"written to {file}")


def folder_of_smollm2(console: Console) -> Path | None:
    """Where SmolLM2-135M lies; where it comes in a Python package, its first use converts it."""
    model = load_config(["model=smollm2-135m"]).model
    folder = local_files(model)
    if folder is None:
        console.print(f"SmolLM2-135M is left out: {unavailable(model)}")
    return folder


def checked_micro_batch(given: int | None, job: Job) -> int:
    """What is given, or the job's own; TRL takes whole batches of them only."""
    size, rollouts = given or job.trl_micro_batch, job.prompts * job.group_size
    if rollouts % size:
        raise UserError(
            f"trl_micro_batch={size}: accepted are divisors of the {rollouts} rollouts of {job.name}; "
            f"try {job.trl_micro_batch}"
        )
    return size
