"""What each process does in the test of loading: `torchrun ... rank_load.py <folder>`.

Rank 0 leaves in the folder, as `results.pt`, what `load` below gives of every rank.
"""

import hashlib
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from rlvr.config import load_config
from rlvr.training.distributed.ranks import (
    full_tensor,
    gather,
    on_every_rank,
    process_group,
    rank,
    release,
    serve_rank_zero,
)
from rlvr.training.setup import open_engine, open_training


def digest(named_tensors: Iterable[tuple[str, Tensor]]) -> str:
    """Of names and numbers; of sharded tensors as a whole."""
    found = hashlib.blake2b(digest_size=8)
    for name, tensor in named_tensors:
        found.update(name.encode() + full_tensor(tensor.detach()).numpy().tobytes())
    return found.hexdigest()


@on_every_rank("testing the load")
def load() -> list[dict]:
    """What a rank has after loading a policy, a reference, the engine beside them and one for evaluation."""
    config = load_config(["model=local", "model.path=model", "algorithm.kl_coefficient=0.1"])
    policy, engine, learner = open_training(config, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sampled = [engine.engine.policy, open_engine(config, None).engine.policy]
    policies = [policy, learner.reference, *sampled]
    return gather(
        {
            "peak": peak,
            "weights": [digest(each.model.named_parameters()) for each in policies],
            "buffers": [digest(each.model.named_buffers()) for each in policies],
            "tied": [each.head.weight is each.model.get_input_embeddings().weight for each in policies],
            "end_ids": policy.end_ids,
        }
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.chdir(Path(sys.argv[1]) / f"rank-{os.environ['RANK']}")  # each sees a folder `model` of its own
    with process_group():
        if rank() == 0:
            torch.save(load(), Path(sys.argv[1]) / "results.pt")
            release()
        else:
            serve_rank_zero()
