"""`rlvr bench`: chosen parts, measured, printed, written and held against what is committed."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from rlvr.bench import alone, contest, scaling
from rlvr.bench.job import Job, jobs
from rlvr.bench.result import Result, committed, save, show
from rlvr.config import load_config
from rlvr.errors import UserError, unknown
from rlvr.policy.location import local_files, unavailable

PARTS = (*contest.PARTS, "scaling", *alone.PARTS)
MODELS = ("embedded", "smollm2")
SETTINGS = ("part", "model", "precision", "rounds", "threads", "trl_micro_batch", "folder")


def bench(arguments: list[str]) -> None:
    """Run what `rlvr bench key=value ...` asks for; see the verb's help for the keys."""
    settings = dict(argument.partition("=")[::2] for argument in arguments)
    for key in settings:
        if key not in SETTINGS:
            raise unknown("setting of bench", key, SETTINGS)
    parts = chosen(settings, "part", PARTS)
    models = chosen(settings, "model", MODELS)
    precisions = chosen(settings, "precision", ("float32", "bfloat16"))
    if models == ["embedded"] and "float32" not in precisions:
        raise UserError("precision=bfloat16: the embedded policy is timed in float32 only; try model=smollm2")
    rounds, threads = number(settings, "rounds", 5), number(settings, "threads", 2)
    console = Console(stderr=True)
    smollm2 = folder_of_smollm2(console) if "smollm2" in models else None

    results: list[Result] = []
    if set(parts) & set(contest.PARTS):
        for job in jobs(smollm2, precisions, threads):
            job = replace(job, trl_micro_batch=trl_micro_batch(settings, job))
            if job.name != "embedded" or "embedded" in models:
                console.print(f"{job.name}, {job.precision}")
                results += contest.contest(job, parts, rounds, console.print)
    if "scaling" in parts:
        results += scaling.scaling(threads, console.print)
    results += alone.measure([part for part in parts if part in alone.PARTS], rounds)

    pythons = [python for python in (contest.trl_python(), contest.vllm_python()) if python]
    folder = Path(settings.get("folder", "results/bench"))
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


def chosen(settings: dict[str, str], key: str, accepted: tuple[str, ...]) -> list[str]:
    """The names given with a comma between them; all when none is given."""
    names = settings.get(key, ",".join(accepted)).split(",")
    for name in names:
        if name not in accepted:
            raise unknown(f"{key} of bench", name, accepted)
    return names


def trl_micro_batch(settings: dict[str, str], job: Job) -> int:
    """What is given, or the job's own; TRL takes whole batches of them only."""
    size, rollouts = number(settings, "trl_micro_batch", job.trl_micro_batch), job.prompts * job.group_size
    if rollouts % size:
        raise UserError(
            f"trl_micro_batch={size}: accepted are divisors of the {rollouts} rollouts of {job.name}; "
            f"try {job.trl_micro_batch}"
        )
    return size


def number(settings: dict[str, str], key: str, default: int) -> int:
    given = settings.get(key, str(default))
    if not given.isdigit() or int(given) < 1:
        raise UserError(f"{key}={given}: accepted are whole numbers from 1 on; the default is {default}")
    return int(given)
