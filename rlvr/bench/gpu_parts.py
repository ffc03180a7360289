"""One part of the check of a GPU, in a process of its own: a line of JSON for each thing it measured.

    python -m rlvr.bench.gpu_parts update '{"shape": "0.5B", "dry": false, "seconds": 60}'

What fails is a line too, with the sentence why; the part then goes on with the next thing.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from tempfile import mkdtemp

import torch

from rlvr.bench.gpu_shapes import (
    GROUP_SIZE,
    TINY_WORKS,
    WAYS,
    WORKS,
    Work,
    device,
    learner_of,
    problems,
    random_batch,
    random_model,
    tokenizer,
)
from rlvr.bench.gpu_timing import Clock, Line, kernels_of, memory_by_part, seconds_of, synchronized, timings
from rlvr.bench.gpu_verl import verl_updates
from rlvr.bench.job import TRL_SETTINGS
from rlvr.config import load_config
from rlvr.data import Verdict
from rlvr.policy.location import EMBEDDED
from rlvr.rollout.engine import Sampling
from rlvr.training.batch import make_batch
from rlvr.training.setup import open_training

COLOCATED = {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.4}
NOT_ON_CPU = ("compiled", "Liger", "flex")  # no kernel, no backward, or minutes of compilation


def measure_update(work: Work, clock: Clock, kernels: bool) -> Line:
    """Seconds, tokens a second, share of the peak, memory by part, and the kernels of one update."""
    learner, batch = learner_of(work), random_batch(work)
    line = timings(work, lambda: learner.update(batch), clock)
    line |= {
        "tokens_together": learner.budget.tokens(learner.optimizer),
        "memory_gib": memory_by_part(learner.policy.model, learner.optimizer),
    }
    if kernels:
        line |= kernels_of(lambda: learner.update(batch))
    return line


def updates(shape: str, dry: bool, clock: Clock) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """Every work in the three ways that matter most, then the others on the first and the longest."""
    works = TINY_WORKS if dry else WORKS
    first = list(WAYS)[:3]
    planned = [(work, way) for work in works for way in first]
    others = [way for way in list(WAYS)[3:] if not dry or way not in NOT_ON_CPU]
    planned += [(work, way) for work in (works[0], works[-1]) for way in others]
    for (rollouts, tokens), way in planned:
        work = Work(shape, rollouts, tokens, way, dry)
        said = {"shape": shape, "rollouts": rollouts, "tokens": tokens, "way": way}
        kernels = (rollouts, tokens) == works[-1] and way in ("full", "checkpointed")
        yield said, lambda work=work, kernels=kernels: measure_update(work, clock, kernels)


def saved_model(dry: bool) -> str:
    """A folder with random weights of 0.5B and the embedded policy's tokenizer, whose words are its first."""
    folder = mkdtemp(prefix="rlvr-gpu-check-")
    work = Work("0.5B", 1, 1, "full", dry)
    random_model(work.architecture, "float32").save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def steps(engine: str, dry: bool) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """Whole steps of 0.5B with one engine, stage by stage; sampling is one of them."""
    yield {"shape": "0.5B", "engine": engine}, lambda: measure_step(saved_model(dry), engine, dry)


def step_size(dry: bool) -> tuple[int, int]:
    """Problems, and tokens of a completion."""
    return (2, 8) if dry else (64, 240)


def measure_step(folder: str, engine: str, dry: bool) -> Line:
    prompts, tokens = step_size(dry)
    config = load_config(
        [
            *("tracking=local", "model=local", f"model.path={folder}", f"rollout={engine}"),
            *("training.precision=bfloat16", "training.learning_rate=1e-9", f"group_size.n={GROUP_SIZE}"),
            *(f"training.prompts_per_step={prompts}", f"training.mini_batch_prompts={prompts}"),
            f"training.sampling.max_tokens={tokens}",
        ]
    )
    started = synchronized()
    policy, sampler, learner = open_training(config, None, 2 * tokens + 128)
    opened = synchronized() - started
    sampling = Sampling(**vars(config.training.sampling))
    stages: dict[str, float] = {}
    metrics: dict[str, float] = {}

    def step(seed: int) -> int:
        stages.clear()
        groups: list = []
        requests = [(problem, GROUP_SIZE) for problem in problems()[:prompts]]
        stages["sampling"] = seconds_of(
            lambda: groups.extend(sampler.generate(requests, sampling, seed=seed))
        )
        for group in groups:
            group.verdicts = [Verdict.CORRECT, Verdict.WRONG] * (GROUP_SIZE // 2)
        batch = make_batch(groups, config)
        stages["rest"] = seconds_of(sampler.rest)
        stages["update"] = seconds_of(lambda: metrics.update(learner.update(batch)))
        stages["weight sync"] = seconds_of(
            lambda: sampler.update_weights(policy.weights(), version=learner.updates)
        )
        return sum(len(completion.token_ids) for group in groups for completion in group.completions)

    step(1)
    sampled = step(2)
    line = {
        "opened_seconds": opened,
        "seconds": sum(stages.values()),
        "stages": dict(stages),
        "sampled_tokens_per_second": sampled / stages["sampling"],
        # of the second step, whose weights came from the trainer: near 0 where all of them did
        "mismatch_log_ratio_max": metrics["mismatch/log_ratio_max"],
        "memory_gib": memory_by_part(learner.policy.model, learner.optimizer),
    }
    sampler.close()
    return line


def trl_step(dry: bool) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """The same step by TRL's GRPOTrainer, through vLLM in its process where that imports."""
    yield {"shape": "0.5B", "against": "TRL"}, lambda: measure_trl(saved_model(dry), dry)


def measure_trl(folder: str, dry: bool) -> Line:
    from importlib.util import find_spec

    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    prompts, tokens = step_size(dry)
    rollouts = prompts * GROUP_SIZE
    seconds: list[float] = []

    class Timed(TrainerCallback):
        def on_step_begin(self, args, state, control, **_) -> None:
            self.started = synchronized()

        def on_step_end(self, args, state, control, **_) -> None:
            seconds.append(synchronized() - self.started)

    through_vllm = find_spec("vllm") is not None and device() == "cuda"
    micro_batch = min(rollouts, 32)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa"),
        processing_class=PreTrainedTokenizerFast.from_pretrained(str(EMBEDDED)),
        reward_funcs=lambda completions, **_: [float(i % 2 == 0) for i in range(len(completions))],
        train_dataset=Dataset.from_list(
            [{"prompt": list(problem.prompt)} for problem in problems()[:prompts]] * 4
        ),
        callbacks=[Timed()],
        args=GRPOConfig(
            output_dir=mkdtemp(),
            use_cpu=device() == "cpu",
            bf16=True,
            num_generations=GROUP_SIZE,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=rollouts // micro_batch,
            max_completion_length=tokens,
            learning_rate=1e-9,
            max_steps=3,
            **TRL_SETTINGS,
            **(COLOCATED if through_vllm else {}),
        ),
    )
    trainer.train()
    return {"seconds": min(seconds[1:]), "all_seconds": seconds, "through_vllm": through_vllm}


PARTS = {
    "update": lambda given, clock: updates(given["shape"], given["dry"], clock),
    "step": lambda given, clock: steps(given["engine"], given["dry"]),
    "TRL": lambda given, clock: trl_step(given["dry"]),
    "verl": lambda given, clock: verl_updates(saved_model(given["dry"]), given["dry"], clock),
}


def main() -> None:
    """Measure one part; answers go to stdout, all else that is printed to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    part, given = sys.argv[1], json.loads(sys.argv[2])
    clock = Clock(given["seconds"])
    for said, work in PARTS[part](given, clock):
        line: Line = {"part": part, **said}
        if clock.left() < 0:
            line["error"] = "no time was left for it"
        else:
            line |= tried(work)
        print(json.dumps(line), file=answers, flush=True)
        gc.collect()
        if device() == "cuda":
            torch.cuda.empty_cache()


def tried(work: Callable[[], Line]) -> Line:
    """What it measured, or the sentence why not: the next thing is measured all the same."""
    try:
        return work()
    # of other people's libraries, on machines that have not been seen before; Triton's, and those of the C
    # compiler that it calls, derive from Exception alone
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())[:300]
        return {"error": f"{type(error).__name__}: {said}"}


if __name__ == "__main__":
    main()
