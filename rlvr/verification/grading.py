"""How good is it: graded rewards beside the verdicts, for trainings whose reward is not correctness alone.

A grader takes columns with an entry for each completion, by name (`rlvr.config.registry`), and returns a
number for each, or None where it has none; `Graded` adds named parts, which are logged.
"""

import json
import logging
import math
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from rlvr.config.limits import Limits
from rlvr.config.plugins import added
from rlvr.config.registry import COMPLETIONS, Method
from rlvr.data import UNSCORABLE, Group, Problem, Verdict
from rlvr.errors import UserError, refuse_unknown
from rlvr.functions.pool import Failed, pool_of
from rlvr.functions.source import REWARD_OFFERS, VERIFIER_OFFERS, FileFunction

MAX_FAILED = 0.01  # of the calls of a step that may fail without a word
logger = logging.getLogger(__name__)

Column = list[float | None]


class Graded(NamedTuple):
    """Rewards of some completions, and the named parts that they are the weighted sums of."""

    rewards: Column
    parts: dict[str, Column]


def correctness(verdicts: Sequence[Verdict]) -> Column:
    """1 for a right answer, 0 for any other."""
    return [float(verdict is Verdict.CORRECT) for verdict in verdicts]


class PythonReward:
    """A function of a Python file of one's own.

    Args:
        function: file and function, as my_rewards.py:length_penalised; the file's digest comes after an @.
        parameters: its keyword-only arguments.
        weights: of the numbers that it returns as a dict, by name; 1 for those left out.
        deadline_seconds: of one call; a completion that takes longer has no reward, and is not learned from.
        workers: processes that call it.
    """

    def __init__(
        self,
        *,
        function: str,
        parameters: dict[str, Any] | None = None,
        weights: dict[str, float] | None = None,
        deadline_seconds: Annotated[float, Limits(above=0)] = 10.0,
        workers: Annotated[int, Limits(at_least=1)] = 2,
    ):
        self.weights = weights or {}
        self.name = FileFunction.of(function).plain
        settings = json.dumps(parameters or {}, sort_keys=True)
        self._pool = pool_of("reward", function, REWARD_OFFERS, settings, deadline_seconds, workers)

    def __call__(
        self,
        problems: Sequence[Problem],
        texts: Sequence[str],
        token_ids: Sequence[Sequence[int]],
        verdicts: Sequence[Verdict],
    ) -> Column | Graded:
        rows = zip(problems, texts, token_ids, verdicts, strict=True)
        values = self._pool([dict(zip(REWARD_OFFERS, row, strict=True)) for row in rows])
        failed = [value for value in values if isinstance(value, Failed)]
        if len(failed) > MAX_FAILED * len(values):
            logger.warning(
                "%s failed on %d of %d completions, which have no reward and are left out: %s",
                *(self.name, len(failed), len(values), failed[0].reason),
            )
        values = [None if isinstance(value, Failed) else value for value in values]
        for problem, value in zip(problems, values, strict=True):
            self._check(problem, value)
        named = [value for value in values if isinstance(value, dict)]
        if not named:
            if self.weights and any(value is not None for value in values):
                raise UserError(f"reward.weights is given, and {self.name} returns no dict of numbers")
            return [None if value is None else float(value) for value in values]
        return self._weighted(values, list(named[0]))

    def _weighted(self, values: Sequence[Any], names: list[str]) -> Graded:
        refuse_unknown("name in reward.weights", self.weights, names)
        for value in values:
            if value is not None and (not isinstance(value, dict) or value.keys() != set(names)):
                raise UserError(
                    f"{self.name} returned {value}, and a dict of {', '.join(names)} elsewhere: accepted are "
                    "the same names for all completions"
                )
        parts: dict[str, Column] = {
            name: [None if value is None else float(value[name]) for value in values] for name in names
        }
        rewards: Column = [
            None if value is None else sum(self.weights.get(name, 1.0) * value[name] for name in names)
            for value in values
        ]
        return Graded(rewards, parts)

    def _check(self, problem: Problem, value: Any) -> None:
        numbers = list(value.values()) if isinstance(value, dict) else [] if value is None else [value]
        if value != {} and all(
            isinstance(one, int | float) and abs(one) <= sys.float_info.max for one in numbers
        ):
            return
        given = f"a {value[0]}" if isinstance(value, list) else repr(value)
        raise UserError(
            f"{self.name} returned {given} for problem {problem.id}: accepted is a finite number, a dict of "
            "names and finite numbers, or None for no reward (the completion is not learned from)"
        )


# The options of `reward`: they return a number for each completion
GRADERS: dict[str, Callable[..., Any]] = {"correctness": correctness, "python": PythonReward}


def is_graded(reward: Any) -> bool:
    """Whether a config's `reward` is another than the verdicts' own."""
    return reward is not None and reward.name != "correctness"


def grade(groups: Sequence[Group], reward: Any) -> None:
    """Give every completion of verified groups its reward; groups that have theirs keep them.

    A completion that could not be judged has none (NaN), whatever the grader would say. With
    `reward=correctness` nothing is done: then the verdict is the reward.

    Args:
        reward: the config's `reward`; None grades nothing.
    """
    groups = [group for group in groups if not group.rewards]
    if not is_graded(reward) or not groups:
        return
    rows = [
        (g, i, group.problem, completion.text, completion.token_ids, verdict)
        for g, group in enumerate(groups)
        for i, (completion, verdict) in enumerate(zip(group.completions, group.verdicts, strict=True))
        if verdict not in UNSCORABLE
    ]
    columns = {name: [row[2 + column] for row in rows] for column, name in enumerate(COMPLETIONS)}
    given = Method(reward.name, added("graders", GRADERS)[reward.name], reward)(columns)
    graded = given if isinstance(given, Graded) else Graded(given, {})
    for group in groups:
        group.rewards = [math.nan] * len(group.completions)
        group.reward_parts = {name: list(group.rewards) for name in graded.parts}
    for (g, i, *_), reward_of, *parts in zip(rows, graded.rewards, *graded.parts.values(), strict=True):
        groups[g].rewards[i] = _number(reward_of)
        for name, part in zip(graded.parts, parts, strict=True):
            groups[g].reward_parts[name][i] = _number(part)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def mean_reward(groups: Sequence[Group]) -> float | None:
    """Mean over problems of the mean reward of the completions that have one; None where there is none."""
    rewards = [[r for r in group.rewards if not math.isnan(r)] for group in groups]
    means = [sum(of_group) / len(of_group) for of_group in rewards if of_group]
    return sum(means) / len(means) if means else None


def judge(name: str, asked: Sequence[tuple[Problem, str]]) -> list[Verdict]:
    """Verdicts by a function of a file, `verifier=my_judge.py:judge`, on (problem, text) pairs.

    The function returns True, False or the name of a verdict. Where it raises, the verdict is ERROR.

    Raises:
        UserError: where it returns anything else, or no call comes to an end.
    """
    plain = FileFunction.of(name).plain
    pool = pool_of("verifier", name, VERIFIER_OFFERS)
    values = pool([{"problem": problem, "text": text} for problem, text in asked])
    return [_verdict(plain, problem, value) for (problem, _), value in zip(asked, values, strict=True)]


def _verdict(plain: str, problem: Problem, value: Any) -> Verdict:
    if isinstance(value, Failed):
        logger.info("%s failed on %s: %s", plain, problem.id, value.reason)
        return Verdict.TIMEOUT if value.timed_out else Verdict.ERROR
    if isinstance(value, bool):
        return Verdict.CORRECT if value else Verdict.WRONG
    if isinstance(value, str) and value in set(Verdict):
        return Verdict(value)
    given = f"a {value[0]}" if isinstance(value, list) else repr(value)
    raise UserError(
        f"{plain} returned {given} for problem {problem.id}: accepted is True, False or one of "
        f"{', '.join(Verdict)}"
    )
