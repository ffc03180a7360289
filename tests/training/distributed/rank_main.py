"""What each process does in the tests of several: `torchrun ... rank_main.py <folder>` and by hand.

Rank 0 leaves in the folder, as `<name>.pt`, what `update` and `sample` below give.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))  # torchrun knows nothing of pytest's path

import torch
from training_groups import RIGHT, WRONG, make_groups

from rlvr.config import load_config
from rlvr.problems import load_problems
from rlvr.rollout.engine import Sampling
from rlvr.training.batch import make_batch
from rlvr.training.distributed import data_parallel
from rlvr.training.distributed.ranks import (
    full_tensor,
    on_every_rank,
    process_group,
    rank,
    release,
    serve_rank_zero,
    world_size,
)
from rlvr.training.setup import open_training

GROUPS = [
    [RIGHT, WRONG, WRONG, RIGHT],
    [RIGHT, RIGHT],
    [WRONG, WRONG, WRONG],
    [WRONG, RIGHT, WRONG],
    [RIGHT, WRONG, RIGHT, RIGHT, RIGHT],
    [RIGHT, RIGHT, RIGHT, WRONG],
]
LOCAL = [
    "tracking=local",
    "training.prompts_per_step=6",
    "training.mini_batch_prompts=6",
    "training.learning_rate=1e-3",
]
CASES = {
    "grpo": [],
    "small packs": ["training.max_tokens_per_micro_batch=12"],
    # the second step is off-policy, has one group with signal in two, and ranks with nothing to do
    "two steps": ["training.mini_batch_prompts=3", "advantage_scaling=focal", "algorithm=dapo"],
    "no signal in a step": ["training.mini_batch_prompts=1", "algorithm=cispo", "credit=process_lambda"],
    "reference and entropy": [
        "training.mini_batch_prompts=3",
        "algorithm.kl_coefficient=0.1",
        "algorithm.entropy_coefficient=0.01",
        "training.activation_checkpointing=true",
    ],
    "two passes": ["training.mini_batch_prompts=3", "training.num_iterations=2"],
    "state in host memory": [
        "training.mini_batch_prompts=3",
        "training.optimizer=adamw_host",
    ],
    "adapter": [
        "training.mini_batch_prompts=3",
        "algorithm.kl_coefficient=0.1",
        "training.activation_checkpointing=true",
        "adapter=lora",
    ],
}


@on_every_rank("testing the update")
def update(overrides: list[str]) -> dict:
    """Metrics of an update, and every parameter's gradient at every optimizer step."""
    config = load_config([*LOCAL, *overrides])
    policy, engine, learner = open_training(config, None)
    steps: list[list[torch.Tensor | None]] = []

    def record(*_) -> None:
        steps.append(
            [None if p.grad is None else full_tensor(p.grad).clone() for p in policy.model.parameters()]
        )

    learner.optimizer.register_step_pre_hook(record)
    metrics = learner.update(make_batch(make_groups(GROUPS, seed=3), config))
    engine.update_weights(policy.weights(), version=learner.updates)
    return {"metrics": metrics, "gradients": steps, "version": engine.policy_version}


def sample() -> list:
    """Tokens, log-probabilities and verdicts of groups of different sizes, before any update."""
    config = load_config(LOCAL)
    _, engine, _ = open_training(config, None)
    problems = load_problems(config.data, held_out=False)[:5]
    requests = [(problem, size) for problem, size in zip(problems, (4, 7, 1, 3, 4), strict=True)]
    groups = engine.generate(requests, Sampling(max_tokens=12), seed=7)
    return [
        (group.problem.id, [c.token_ids for c in group.completions], [c.logprobs for c in group.completions])
        for group in groups
    ]


def everything() -> dict:
    results = {name: update(overrides) for name, overrides in CASES.items()}
    results["bfloat16"] = update(["training.precision=bfloat16"])
    return results | {"sample": sample(), "world_size": world_size()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    data_parallel.PART = 3  # rollouts, so that groups are sampled in parts
    with process_group():
        if rank() == 0:
            torch.save(everything(), Path(sys.argv[1]) / "results.pt")
            release()
        else:
            serve_rank_zero()
