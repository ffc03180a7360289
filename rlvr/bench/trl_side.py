"""TRL's GRPOTrainer on the same work (see `rlvr.bench.side`), in its own loop: a callback stops it before
every step until the step is asked for.

A configuration chosen for speed on CPU: no gradient checkpointing, no KL and so no reference model,
one iteration so that it takes no old log-probabilities, the fused optimizer, SDPA attention, its chunked
head, all rollouts sampled at once, and as many rollouts a forward as `Job.trl_micro_batch` says.
"""

import json
import sys
import tempfile
import time
from typing import Any

import torch
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from rlvr.bench.job import NO_CHANGE, TRL_SETTINGS, Job, is_correct
from rlvr.bench.side import peak_bytes, requests
from rlvr.policy.location import EMBEDDED
from rlvr.problems import load_problems


class OnRequest(TrainerCallback):
    """Does what is asked for; a step is done by going on with the trainer's loop."""

    def __init__(self, job: Job):
        self.job = job
        self.requests = requests()
        self.trainer: GRPOTrainer | None = None

    def on_step_begin(self, args, state, control, **_) -> None:
        for request, answer in self.requests:
            self.answer = answer
            rollouts = request.get("rollouts")
            match request["do"]:
                case "step" | "update":
                    # None: the trainer samples for itself
                    self.trainer.rollout_func = rollouts and (lambda *_, rollouts=rollouts: flat(rollouts))
                    self.started = time.perf_counter()
                    return
                case "sample":
                    answer(self.sample())
                case "logprobs":
                    answer(self.logprobs(flat(rollouts)))
                case "memory":
                    answer({"peak": peak_bytes()})
        sys.exit()

    def on_step_end(self, args, state, control, **_) -> None:
        self.answer({"seconds": time.perf_counter() - self.started})

    def sample(self) -> dict[str, Any]:
        prompts = [row["prompt"] for row in self.trainer.train_dataset for _ in range(self.job.group_size)]
        self.trainer.rollout_func = None
        started = time.perf_counter()
        prompt_ids, completion_ids, *_ = self.trainer._generate(prompts)
        seconds = time.perf_counter() - started
        prompts = prompt_ids[:: self.job.group_size]
        return {"seconds": seconds, "tokens": sum(map(len, completion_ids)), "prompts": prompts}

    @torch.no_grad()
    def logprobs(self, rollouts: dict[str, Any]) -> dict[str, float]:
        def padded(rows: list[list[int]], side: str) -> list[torch.Tensor]:
            ids = [torch.tensor(row) for row in rows]
            both = ids, [torch.ones_like(row) for row in ids]
            return [pad_sequence(each, batch_first=True, padding_side=side) for each in both]

        started = time.perf_counter()
        parts = padded(rollouts["prompt_ids"], "left"), padded(rollouts["completion_ids"], "right")
        ids, mask = (torch.cat(pair, dim=1) for pair in zip(*parts, strict=True))
        self.trainer._get_per_token_logps_and_entropies(
            self.trainer.model, ids, mask, parts[1][0].size(1), batch_size=self.job.trl_micro_batch
        )
        return {"seconds": time.perf_counter() - started}


def flat(rollouts: dict[str, Any]) -> dict[str, Any]:
    """One entry a rollout, as TRL wants them."""
    pairs = [
        (prompt, ids)
        for prompt, completions in zip(rollouts["prompts"], rollouts["completions"], strict=True)
        for ids in completions
    ]
    prompt_ids, completion_ids = map(list, zip(*pairs, strict=True))
    return {"prompt_ids": prompt_ids, "completion_ids": completion_ids, "logprobs": None}


def main() -> None:
    """Serve until there is nothing more to read."""
    job = Job(**json.loads(sys.argv[1]))
    torch.set_num_threads(job.threads)
    folder = EMBEDDED if job.model == "embedded" else job.model
    problems = load_problems(job.config().data, held_out=False)[: job.prompts]
    rollouts = job.prompts * job.group_size
    callback = OnRequest(job)
    callback.trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa"),
        processing_class=PreTrainedTokenizerFast.from_pretrained(folder),
        reward_funcs=lambda completions, **_: [
            float(is_correct(rollout, job.group_size)) for rollout in range(len(completions))
        ],
        train_dataset=Dataset.from_list([{"prompt": list(problem.prompt)} for problem in problems]),
        callbacks=[callback],
        args=GRPOConfig(
            output_dir=tempfile.mkdtemp(),
            use_cpu=True,
            bf16=job.precision == "bfloat16",
            num_iterations=1,
            num_generations=job.group_size,
            per_device_train_batch_size=job.trl_micro_batch,
            gradient_accumulation_steps=rollouts // job.trl_micro_batch,
            max_completion_length=job.max_tokens,
            top_p=1.0,
            top_k=0,
            learning_rate=NO_CHANGE,
            max_steps=10**6,
            **TRL_SETTINGS,
        ),
    )
    callback.trainer.train()


if __name__ == "__main__":
    main()
