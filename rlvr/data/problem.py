"""What is asked of a policy."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with an answer that a program can check.

    Attributes:
        id: unique within the project and stable between runs; profiles, evaluations and
            selections are keyed by it.
        source: the family it comes from ("countdown", "math500", ...).
        prompt: chat messages, each {"role": ..., "content": ...}.
        answer: the reference answer; what it means is the verifier's business.
        verifier: name of the verifier that judges completions (`rlvr.verification`).
        metadata: whatever else the verifier or a report needs (numbers, level, ...).
    """

    id: str
    source: str
    prompt: tuple[dict[str, str], ...]
    answer: str
    verifier: str
    metadata: dict[str, Any] = field(default_factory=dict)
