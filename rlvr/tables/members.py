"""The members of a family in a table: the arms of each, and those its best learning rate is sought among."""

from collections.abc import Collection, Sequence

from rlvr.tables.spec import Arm, TableSpec


def members(spec: TableSpec) -> dict[str, list[Arm]]:
    """The arms of each member, in the order of the table."""
    found: dict[str, list[Arm]] = {}
    for arm in spec.arms:
        if arm.member:
            found.setdefault(arm.member, []).append(arm)
    return found


def own_strength(arms: Sequence[Arm]) -> list[Arm]:
    """The arms of a member at its own strength: the one that has other learning rates, or the first."""
    varied = next((arm.strength for arm in arms if arm.rate), arms[0].strength)
    return [arm for arm in arms if arm.strength == varied]


def has_all_rates(arms: Sequence[Arm], measured: Collection[str]) -> bool:
    """Whether the arms that were measured are all those of a member at its own strength: before that none of
    its learning rates is the best."""
    return all(arm.name in measured for arm in own_strength(arms))
