"""rlvr against TRL and vLLM: same weights and prompts, and for the training half the same sampled tokens."""

import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from rlvr.bench.job import Job
from rlvr.bench.result import Result, interleaved
from rlvr.bench.side import Side, python_of

MIB = 2**20


def trl_python() -> str | None:
    """An interpreter that has TRL: this one, or that of .venv-bench."""
    return sys.executable if find_spec("trl") else python_of(".venv-bench")


def vllm_python() -> str | None:
    """An interpreter that has vLLM: this one, or that of .venv-vllm."""
    return sys.executable if find_spec("vllm") else python_of(".venv-vllm")


def contest(job: Job, parts: Sequence[str], rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Run the chosen parts of one job, rounds of the sides in turn."""
    sides = {"rlvr": Side("rlvr", "rlvr.bench.rlvr_side", job.as_dict())}
    if python := trl_python():
        sides["TRL"] = Side("TRL", "rlvr.bench.trl_side", job.as_dict(), python)
    else:
        say("TRL is not installed, so nothing is held against it: make bench builds .venv-bench with it")
    try:
        results = training_parts(job, parts, rounds, sides)
    finally:
        for side in sides.values():
            side.close()
    if "generation" in parts:
        if python := vllm_python():
            results.append(against_vllm(job, rounds, python))
        else:
            say("vLLM is not installed, so sampling is not held against it: make vllm-env builds .venv-vllm")
    return results


def training_parts(job: Job, parts: Sequence[str], rounds: int, sides: dict[str, Side]) -> list[Result]:
    """Step, generation, log-probabilities, update and memory, against TRL where there is one."""
    name = f"{job.name} {job.precision}"
    rollouts = sides["rlvr"].ask("sample")["rollouts"]
    if "TRL" in sides and sides["TRL"].ask("sample")["prompts"] != rollouts["prompts"]:
        raise AssertionError("TRL does not ask the same prompts")
    asked = {
        "step": lambda side: side.ask("step")["seconds"],
        "generation": seconds_of_a_thousand_tokens,
        "logprobs": lambda side: side.ask("logprobs", rollouts=rollouts)["seconds"],
        "update": lambda side: side.ask("update", rollouts=rollouts)["seconds"],
    }
    results = []
    for part, ask in asked.items():
        if part in parts:
            calls = {who: lambda side=side, ask=ask: ask(side) for who, side in sides.items()}
            results.append(result(part, name, interleaved(calls, rounds)))
    if "memory" in parts:
        if "step" not in parts:
            for side in sides.values():
                side.ask("step")
        peaks = {who: [side.ask("memory")["peak"] / MIB] for who, side in sides.items()}
        results.append(result("memory", f"{name}, peak of the process", peaks, unit="MiB"))
    return results


def against_vllm(job: Job, rounds: int, python: str) -> Result:
    """Sampling alone. Sampled lengths differ a little, so it is time a thousand tokens."""
    sides = {
        "rlvr": Side("rlvr", "rlvr.bench.rlvr_side", job.as_dict()),
        "vLLM": Side("vLLM", "rlvr.bench.vllm_side", job.as_dict(), python),
    }
    try:
        prompts = sides["rlvr"].ask("sample")["rollouts"]["prompts"]
        calls = {
            who: lambda side=side: seconds_of_a_thousand_tokens(side, prompts) for who, side in sides.items()
        }
        return result("generation", f"{job.name} {job.precision}", interleaved(calls, rounds))
    finally:
        for side in sides.values():
            side.close()


def seconds_of_a_thousand_tokens(side: Side, prompts: list[list[int]] | None = None) -> float:
    answer = side.ask("sample", prompts=prompts)
    return 1000 * answer["seconds"] / answer["tokens"]


def result(part: str, what: str, values: dict[str, list[float]], unit: str = "s") -> Result:
    """rlvr's values against the one other's, if there is one."""
    (against, other) = next(((who, other) for who, other in values.items() if who != "rlvr"), ("", []))
    unit_text = ", 1000 tokens" if part == "generation" else ""
    return Result(part, what + unit_text, values["rlvr"], other, against, unit)
