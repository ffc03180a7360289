"""What a policy answered: the completions of one problem."""

from dataclasses import dataclass, field

from rlvr.problems.problem import Problem
from rlvr.verification.verdict import Verdict


@dataclass(slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        token_ids: sampled tokens, the end-of-sequence token included when it was sampled.
        logprobs: log-probability of each token under the distribution it was sampled from.
        text: the decoded answer, without special tokens.
        finish_reason: "stop" (ended by itself) or "length" (cut at the maximum length).
        policy_version: number of weight updates the sampling policy had seen.
    """

    token_ids: list[int]
    logprobs: list[float]
    text: str
    finish_reason: str
    policy_version: int


@dataclass(slots=True)
class Group:
    """A problem, its prompt as token ids, its completions, and (after verification) their verdicts."""

    problem: Problem
    prompt_ids: list[int]
    completions: list[Completion]
    verdicts: list[Verdict] = field(default_factory=list)
