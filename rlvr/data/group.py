"""What a policy answered: the completions of one problem."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rlvr.data.problem import Problem
from rlvr.data.verdict import Verdict


@dataclass(slots=True)
class Completion:
    """One sampled answer.

    Attributes:
        token_ids: sampled tokens, the end-of-sequence token or a stop string's included when it was sampled.
        logprobs: log-probability of each token under the distribution it was sampled from.
        text: the decoded answer, without special tokens, up to a stop string.
        finish_reason: "stop" (ended by itself) or "length" (cut at the maximum length).
        policy_version: number of weight updates the sampling policy had seen.
    """

    token_ids: list[int]
    logprobs: list[float]
    text: str
    finish_reason: str
    policy_version: int


def has_any(text: str, stop_strings: Sequence[str]) -> bool:
    return any(stop in text for stop in stop_strings)


def before(text: str, stop_strings: Sequence[str]) -> str:
    """A text up to the first of the stop strings in it."""
    return text[: min((text.index(stop) for stop in stop_strings if stop in text), default=None)]


@dataclass(slots=True)
class Group:
    """A problem, its prompt as token ids, its completions, and (after verification) their verdicts.

    Attributes:
        rewards: where they are more than correctness (`rlvr.verification.grading`): NaN for none.
        reward_parts: the numbers that they are the weighted sums of, by name.
    """

    problem: Problem
    prompt_ids: list[int]
    completions: list[Completion]
    verdicts: list[Verdict] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    reward_parts: dict[str, list[float]] = field(default_factory=dict)
