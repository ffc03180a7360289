"""rlvr at work, in a process of its own (see `rlvr.bench.side`)."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from rlvr.bench.job import Job, is_correct
from rlvr.bench.side import peak_bytes, requests
from rlvr.data import Completion, Group, Verdict
from rlvr.policy.policy import load_policy
from rlvr.problems import load_problems
from rlvr.rollout import build_engine
from rlvr.rollout.engine import Sampling
from rlvr.training.batch import Batch, make_batch
from rlvr.training.learner import Learner


class RlvrSide:
    """What a training step is made of, each part on its own and all together."""

    def __init__(self, job: Job):
        self.job = job
        self.config = job.config()
        torch.set_num_threads(job.threads)
        self.policy = load_policy(self.config.model.path, dtype=self.config.model.dtype)
        self.learner = Learner(self.policy, self.config)
        self.engine = build_engine(self.config, self.policy)
        self.problems = load_problems(self.config.data, held_out=False)[: job.prompts]
        self.seed = 0

    def sample(self) -> list[Group]:
        self.seed += 1
        sampling = Sampling(**vars(self.config.training.sampling))
        requests = [(problem, self.job.group_size) for problem in self.problems]
        return self.engine.generate(requests, sampling, seed=self.seed)

    def batch(self, groups: list[Group]) -> Batch:
        for group in groups:
            group.verdicts = [
                Verdict.CORRECT if is_correct(rollout, len(group.completions)) else Verdict.WRONG
                for rollout in range(len(group.completions))
            ]
        return make_batch(groups, self.config)

    def update(self, groups: list[Group]) -> None:
        self.learner.update(self.batch(groups))

    def logprobs(self, groups: list[Group]) -> None:
        """Log-probabilities of all sampled tokens, without gradient."""
        mini_batch = self.learner._mini_batch(self.batch(groups), range(len(groups)))
        for micro_batch in mini_batch.micro_batches:
            with torch.no_grad(), self.policy.autocast(self.learner.training.precision):
                self.learner._logprobs(self.policy, micro_batch)


def groups_from(problems: list, rollouts: dict[str, Any]) -> list[Group]:
    """Groups of rollouts that came as token ids."""
    return [
        Group(problem, prompt, [Completion(ids, [0.0] * len(ids), "", "stop", 0) for ids in completions])
        for problem, prompt, completions in zip(
            problems, rollouts["prompts"], rollouts["completions"], strict=True
        )
    ]


def described(groups: list[Group]) -> dict[str, Any]:
    """Groups as token ids, for a side that trains on them, and how many tokens were sampled."""
    completions = [[completion.token_ids for completion in group.completions] for group in groups]
    return {
        "rollouts": {"prompts": [group.prompt_ids for group in groups], "completions": completions},
        "tokens": sum(len(ids) for group in completions for ids in group),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def main() -> None:
    """Serve until there is nothing more to read."""
    incoming = requests()
    side = RlvrSide(Job(**json.loads(sys.argv[1])))
    for request, answer in incoming:
        match request["do"]:
            case "sample":
                seconds, groups = timed(side.sample)
                answer({"seconds": seconds, **described(groups)})
            case "step":
                seconds, _ = timed(lambda: side.update(side.sample()))
                answer({"seconds": seconds})
            case "update" | "logprobs" as part:
                groups = groups_from(side.problems, request["rollouts"])
                seconds, _ = timed(lambda part=part, groups=groups: getattr(side, part)(groups))
                answer({"seconds": seconds})
            case "memory":
                answer(
                    {"peak": peak_bytes(), "weights": sum(p.nbytes for p in side.policy.model.parameters())}
                )


if __name__ == "__main__":
    main()
