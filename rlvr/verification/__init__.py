"""Is it right: verdicts on completions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rlvr.errors import unknown
from rlvr.problems.problem import Problem
from rlvr.verification.arithmetic import verify_expression, verify_integer
from rlvr.verification.verdict import UNSCORABLE, Verdict

if TYPE_CHECKING:  # a group holds verdicts, so its module imports this package
    from rlvr.rollout.group import Group

__all__ = ["UNSCORABLE", "VERIFIERS", "Verdict", "verify"]

VERIFIERS: dict[str, Callable[[Problem, str], Verdict]] = {
    "expression": verify_expression,
    "integer": verify_integer,
}


def verify(groups: Sequence[Group]) -> None:
    """Give every completion of every group its verdict; a text that comes up again is judged once.

    A completion that was cut at the maximum length is TRUNCATED, whatever it says so far.
    """
    for group in groups:
        if group.problem.verifier not in VERIFIERS:
            raise unknown("verifier", group.problem.verifier, VERIFIERS)
        judge = VERIFIERS[group.problem.verifier]
        known: dict[str, Verdict] = {}
        group.verdicts = []
        for completion in group.completions:
            if completion.finish_reason == "length":
                group.verdicts.append(Verdict.TRUNCATED)
                continue
            if completion.text not in known:
                known[completion.text] = judge(group.problem, completion.text)
            group.verdicts.append(known[completion.text])
