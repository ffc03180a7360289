"""Training groups for the completions browser: tokens, advantages and token weights as they were."""

import json
from collections.abc import Sequence
from typing import Any

from rlvr.files.run_files import RunFiles

LIMITS = ((8, 4), (4, 3), (3, 2), (2, 1), (1, 1))  # steps of a run, groups of a step
BUDGET = 6_000_000  # characters in a file


def training_groups(runs: Sequence[RunFiles]) -> list[dict[str, Any]]:
    """Groups of the first, the last and steps between: {"arm", "seed", "step", **group of rollouts.jsonl}.

    Weights that are all 1 are null, to save room; a rollout that is not in the loss has no advantage.
    """
    recorded = [(run, list(evenly(run.rollouts(), LIMITS[0][0]))) for run in runs]
    for steps, groups in LIMITS:
        chosen = [
            {"arm": run.arm, "seed": run.seed, "step": line["step"], **_without_ones(group)}
            for run, lines in recorded
            for line in evenly(lines, steps)
            for group in line["groups"][:groups]
        ]
        if len(json.dumps(chosen)) <= BUDGET:
            break
    return chosen


def evenly(items: Sequence, count: int) -> Sequence:
    """`count` of the items, the first and the last among them, evenly between; all where there are fewer."""
    if len(items) <= count:
        return items
    if count == 1:
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _without_ones(group: dict[str, Any]) -> dict[str, Any]:
    return group | {
        "completions": [
            completion | {"weights": None} if set(completion["weights"] or ()) == {1.0} else completion
            for completion in group["completions"]
        ]
    }
