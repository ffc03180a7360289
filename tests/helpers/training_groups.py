"""Groups with known verdicts, so that rewards are known too."""

import random
from collections.abc import Sequence

from rlvr.data import Completion, Group, Problem, Verdict

RIGHT, WRONG, LOST = Verdict.CORRECT, Verdict.WRONG, Verdict.TIMEOUT


def make_groups(verdicts: Sequence[Sequence[Verdict]], seed: int = 0) -> list[Group]:
    """One group a list of verdicts; random prompts and completions of random lengths that share prefixes."""
    rng = random.Random(seed)

    def tokens(low: int, high: int) -> list[int]:
        return [rng.randrange(5, 200) for _ in range(rng.randint(low, high))]

    groups = []
    for number, of_group in enumerate(verdicts):
        shared = tokens(2, 4)
        completions = []
        for _ in of_group:
            ids = shared[: rng.randint(0, len(shared))] + tokens(1, 6)
            completions.append(Completion(ids, [-1.0] * len(ids), "", "stop", 0))
        problem = Problem(f"p{number}", "test", (), "", "expression")
        groups.append(Group(problem, tokens(3, 9), completions, list(of_group)))
    return groups
