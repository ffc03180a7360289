import pytest
from training_groups import LOST, RIGHT, WRONG, make_groups

from rlvr.data import Group


@pytest.fixture
def groups() -> list[Group]:
    """Groups of four sizes: mixed, all right, all wrong, one lost to a timeout, mixed."""
    return make_groups(
        [
            [RIGHT, WRONG, WRONG, RIGHT],
            [RIGHT, RIGHT],
            [WRONG, WRONG, WRONG],
            [WRONG, LOST, RIGHT, WRONG],
            [RIGHT, WRONG, RIGHT, RIGHT, RIGHT],
        ]
    )
