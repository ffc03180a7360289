"""Is it right: verdicts on completions."""

import atexit
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from rlvr.config.plugins import added
from rlvr.data import Group, Problem, Verdict
from rlvr.data.answer_text import final_answer
from rlvr.errors import unknown
from rlvr.functions.source import is_file_function
from rlvr.verification.arithmetic import verify_expression, verify_integer
from rlvr.verification.grading import judge
from rlvr.verification.maze import verify_maze_path, verify_maze_walk
from rlvr.verification.multiple_choice import verify_choice
from rlvr.verification.pool import VerifierPool
from rlvr.verification.reference import Reference, references_of
from rlvr.verification.shortcuts import is_shortcut
from rlvr.verification.words import verify_tagged_words, verify_words

__all__ = ["POOLED", "VERIFIERS", "pool_of", "verify"]

MAX_FAULTS = 0.01  # of the answers of a step or an evaluation
NAMED = 3  # problems that the verifier failed on
logger = logging.getLogger(__name__)

# judged here, one completion after the other
VERIFIERS: dict[str, Callable[[Problem, str], Verdict]] = {
    "expression": verify_expression,
    "integer": verify_integer,
    "maze_path": verify_maze_path,
    "maze_walk": verify_maze_walk,
    "multiple_choice": verify_choice,
    "synlogic": verify_tagged_words,
    "words": verify_words,
}
# judged by other processes, because a comparison may hang or crash
POOLED = {
    "math": "rlvr.verification.equivalence:compare",
    "ifeval": "rlvr.verification.ifeval:follow",
}


def verify(groups: Sequence[Group]) -> None:
    """Give every completion of every group its verdict; a text that comes up again is judged once.

    A completion that was cut at the maximum length is TRUNCATED, whatever it says so far. What goes to
    a pool goes there together. Groups that have their verdicts keep them.
    """
    groups = [group for group in groups if len(group.verdicts) != len(group.completions)]
    known: dict[tuple[int, str], Verdict] = {}
    pending: dict[str, list[tuple[int, str]]] = {}
    verifiers = added("verifiers", VERIFIERS)
    for index, group in enumerate(groups):
        name = group.problem.verifier
        texts = dict.fromkeys(c.text for c in group.completions if c.finish_reason != "length")
        if name in POOLED or is_file_function(name):
            pending.setdefault(name, []).extend((index, text) for text in texts)
        elif name in verifiers:
            known |= {(index, text): verifiers[name](group.problem, text) for text in texts}
        else:
            raise unknown("verifier", name, [*verifiers, *POOLED])
    for name, keys in pending.items():
        if is_file_function(name):
            verdicts = judge(name, [(groups[index].problem, text) for index, text in keys])
        elif name == "math":
            verdicts = _judge_mathematics(groups, keys)
        else:
            verdicts = pool_of(name).compare([(groups[index].problem.answer, text) for index, text in keys])
        known |= dict(zip(keys, verdicts, strict=True))
    _warn_of_faults(groups, known)
    for index, group in enumerate(groups):
        group.verdicts = [
            Verdict.TRUNCATED if completion.finish_reason == "length" else known[index, completion.text]
            for completion in group.completions
        ]
    _take_out_unparsable(groups)


def _judge_mathematics(groups: Sequence[Group], keys: Sequence[tuple[int, str]]) -> list[Verdict]:
    """Verdicts on the texts of some groups; of several ways to write a reference one has to be met.

    A right answer that is copied from the question, or a calculation left undone, is WRONG (`shortcuts`).
    """
    references = {index: references_of(groups[index].problem) for index in dict.fromkeys(i for i, _ in keys)}
    pairs = [(reference, text) for index, text in keys for reference in references[index]]
    verdicts = iter(pool_of("math").verify(pairs))
    found = []
    for index, text in keys:
        verdict = min((next(verdicts) for _ in references[index]), key=_WEIGHT.__getitem__)
        if verdict is Verdict.CORRECT:
            ways = [Reference.of(reference).answer for reference in references[index]]
            if is_shortcut(groups[index].problem.prompt[-1]["content"], ways, final_answer(text) or ""):
                verdict = Verdict.WRONG
        found.append(verdict)
    return found


# which of the verdicts on one answer by several references counts: the first
_ORDER = (Verdict.CORRECT, Verdict.TIMEOUT, Verdict.ERROR, Verdict.WRONG, Verdict.NO_ANSWER)
_WEIGHT = {verdict: place for place, verdict in enumerate((*_ORDER, Verdict.REFERENCE_UNPARSABLE))}


def _take_out_unparsable(groups: Sequence[Group]) -> None:
    """Give all completions of a problem whose reference can't be judged by that verdict, whatever they say.

    A completion without an answer is never compared, so it does not show what the reference is.
    """
    doubtful = [g for g in groups if g.problem.verifier == "math" and Verdict.CORRECT not in g.verdicts]
    if not doubtful:
        return
    references = [references_of(group.problem) for group in doubtful]
    parsed = pool_of("math").are_parsed([reference for ways in references for reference in ways])
    for group, ways in zip(doubtful, references, strict=True):
        if not any(parsed[reference] for reference in ways):
            group.verdicts = [Verdict.REFERENCE_UNPARSABLE] * len(group.completions)


def _warn_of_faults(groups: Sequence[Group], known: Mapping[tuple[int, str], Verdict]) -> None:
    """Say it where the verifier failed on more than a hundredth: that is no fault of the policy's."""
    verdicts = list(known.values())
    errors, timeouts = verdicts.count(Verdict.ERROR), verdicts.count(Verdict.TIMEOUT)
    if errors + timeouts > MAX_FAULTS * len(verdicts):
        logger.warning(
            "the verifier failed on %d of %d answers (%d errors, %d timeouts), which have no verdict and are "
            "left out, of problem %s: by their references, or by a machine that is too busy",
            errors + timeouts, len(verdicts), errors, timeouts, _faulty(groups, known),
        )  # fmt: skip


def _faulty(groups: Sequence[Group], known: Mapping[tuple[int, str], Verdict]) -> str:
    """The problems that the verifier failed on, the first few by name."""
    failed = (index for (index, _), verdict in known.items() if verdict in (Verdict.ERROR, Verdict.TIMEOUT))
    ids = list(dict.fromkeys(groups[index].problem.id for index in failed))
    return ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")


@cache
def pool_of(verifier: str) -> VerifierPool:
    """The pool of a verifier in this process: started when first needed, ended with the process."""
    # checkers of instructions load their own data first, and do nothing that could go on for ever
    pool = VerifierPool(function=POOLED[verifier], deadline_seconds=5.0 if verifier == "math" else 30.0)
    atexit.register(pool.close)
    return pool
