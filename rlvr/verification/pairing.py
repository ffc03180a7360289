"""Are the parts of two lists the same: in order, in any order, or as sets?"""

from collections.abc import Callable, Sequence

from rlvr.verification.forms import Form

MAX_PARTS = 60  # of a list

Equal = Callable[[Form, Form], bool]  # `equivalence` of the parts


def same_row(ours: Sequence[Form], theirs: Sequence[Form], equal: Equal) -> bool:
    """Are the parts equal one by one?"""
    return len(ours) == len(theirs) and all(map(equal, ours, theirs))


def same_parts(ours: Sequence[Form], theirs: Sequence[Form], equal: Equal) -> bool:
    """Is there a way to pair all parts with equal ones?"""
    if len(ours) != len(theirs) or len(ours) > MAX_PARTS:
        return False
    partner: dict[int, int] = {}  # of theirs, in ours

    def place(one: int, tried: set[int]) -> bool:
        for other in range(len(theirs)):
            if other not in tried and equal(ours[one], theirs[other]):
                tried.add(other)
                if other not in partner or place(partner[other], tried):
                    partner[other] = one
                    return True
        return False

    return all(place(one, set()) for one in range(len(ours)))


def same_set(ours: Sequence[Form], theirs: Sequence[Form], equal: Equal) -> bool:
    """Has each part an equal one on the other side, repeats apart?"""
    if max(len(ours), len(theirs)) > MAX_PARTS:
        return False
    return all(any(equal(a, b) for b in theirs) for a in ours) and all(
        any(equal(a, b) for a in ours) for b in theirs
    )
