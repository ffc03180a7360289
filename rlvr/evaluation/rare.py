"""What training does to rare correct answers: the change in their NLL (F-GRPO, section 5.3, Tables 2 and 3).

A fixed set is drawn once from the initial policy: many samples of some training problems, of which the
correct ones with the highest length-normalised NLL are kept. Every arm that starts from that policy is then
asked for its NLL of the same answers; the mean increase over the initial policy's is Delta NLL, in nats a
token. The paper's set is 256 problems x 800 samples, 1 % of the correct ones: 1,263 answers.
`rlvr.runs.rare` draws and measures.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch

from rlvr.data import Problem
from rlvr.policy.packing import pack_micro_batches
from rlvr.policy.policy import Policy
from rlvr.policy.prefix_tree import PrefixTree


def rarest(nll: np.ndarray, share: float) -> np.ndarray:
    """Positions of the `share` of values that are highest, at least one, highest first; ties in order."""
    kept = max(1, round(share * len(nll)))
    return np.argsort(-nll, kind="stable")[:kept]


@torch.no_grad()
def mean_nll(
    policy: Policy,
    problems: Sequence[Problem],
    completions: Sequence[Sequence[int]],
    *,
    budget: int,
    precision: str = "float32",
) -> np.ndarray:
    """Length-normalised NLL of completions under a policy: float64 [R], nats a token.

    Args:
        problems: [R], that of each completion; equal ones adjacent.
        completions: [R], token ids, the end of the sequence included.
        budget: tokens that go through the model together.
    """
    prompts = {problem.id: policy.encode(problem) for problem in problems}
    groups = [index for index, (_, same) in enumerate(groupby(p.id for p in problems)) for _ in same]
    lengths = [len(completion) for completion in completions]
    nll = np.empty(len(completions))
    for members in pack_micro_batches(groups, [len(prompts[p.id]) for p in problems], lengths, budget):
        by_problem = {
            problem_id: [completions[i] for i in same]
            for problem_id, same in groupby(members, key=lambda i: problems[i].id)
        }
        asked = [prompts[problem_id] for problem_id in by_problem]
        tree = PrefixTree.build(asked, list(by_problem.values()), policy.device)
        with policy.autocast(precision):
            logp_M, _ = policy.logprobs(tree)
        rollouts = logp_M.cpu().split([lengths[i] for i in members])
        nll[members] = [-float(logp.double().mean()) for logp in rollouts]
    return nll
