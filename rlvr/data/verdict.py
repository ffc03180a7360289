"""The outcomes of checking one completion."""

from enum import StrEnum


class Verdict(StrEnum):
    """What a verifier found.

    CORRECT, WRONG and NO_ANSWER are judgements of the policy; TRUNCATED becomes one by the
    configured policy for truncated completions. The last three say that nothing could be judged:
    such a rollout has no reward, is left out of its group's statistics and of the loss, and is
    counted by kind.
    """

    CORRECT = "correct"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    TRUNCATED = "truncated"
    REFERENCE_UNPARSABLE = "reference_unparsable"
    TIMEOUT = "timeout"
    ERROR = "error"


UNSCORABLE = frozenset({Verdict.REFERENCE_UNPARSABLE, Verdict.TIMEOUT, Verdict.ERROR})
