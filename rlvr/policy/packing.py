"""Which rollouts go through the model together."""

import itertools
from bisect import bisect_left
from collections.abc import Sequence


def pack_micro_batches(
    groups: Sequence[int], prompt_lengths: Sequence[int], lengths: Sequence[int], budget: int
) -> list[list[int]]:
    """Fill micro-batches with rollouts in their order: as few as `budget` allows, and none larger than that
    takes.

    Rollouts of a group stand next to each other, so a group's prompt is repeated only where the group is
    split; it counts once a micro-batch. A rollout longer than the budget gets one of its own.

    Args:
        groups: [R], the group of each rollout, equal values adjacent.
        prompt_lengths: [R], tokens of each rollout's prompt.
        lengths: [R], tokens of each rollout's completion.
        budget: tokens a micro-batch may hold.

    Returns:
        Micro-batches, as lists of positions in `groups`.
    """

    def filled(size: int) -> list[list[int]]:
        packed: list[list[int]] = []
        used = 0
        for i, (group, prompt, length) in enumerate(zip(groups, prompt_lengths, lengths, strict=True)):
            shares_prompt = bool(packed) and groups[packed[-1][-1]] == group
            cost = length if shares_prompt else prompt + length
            if not packed or used + cost > size:
                packed.append([])
                used, cost = 0, prompt + length
            packed[-1].append(i)
            used += cost
        return packed

    fewest = filled(budget)
    if len(fewest) < 2:
        return fewest
    return filled(bisect_left(range(budget), True, key=lambda size: len(filled(size)) <= len(fewest)))


def cut(costs: Sequence[float], parts: int) -> list[range]:
    """`parts` runs of neighbours, in order, whose costs are equal to within the largest single cost."""
    total, before = sum(costs), 0.0
    sizes = [0] * parts
    for cost in costs:
        sizes[min(int((before + cost / 2) * parts / total), parts - 1) if total else 0] += 1
        before += cost
    ends = list(itertools.accumulate(sizes, initial=0))
    return [range(start, end) for start, end in itertools.pairwise(ends)]


def spread(costs: Sequence[float], parts: int) -> list[list[int]]:
    """Positions in `costs` dealt to `parts`, the costliest first, each to who has least; each ascending."""
    loads, dealt = [0.0] * parts, [[] for _ in range(parts)]
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        part = loads.index(min(loads))
        loads[part] += costs[i]
        dealt[part].append(i)
    return [sorted(positions) for positions in dealt]
