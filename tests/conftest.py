"""What many tests share: the embedded policy, and one thread so that results repeat bit for bit.

transformers is imported by the fixtures, so that tests that need no model are there at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from rlvr.policy.policy import Policy

torch.set_num_threads(1)


@pytest.fixture
def policy() -> Policy:
    """A fresh copy of the embedded policy; a test may change its weights."""
    from rlvr.policy.policy import load_policy

    return load_policy("embedded")


@pytest.fixture(scope="session")
def frozen_policy() -> Policy:
    """The embedded policy for tests that only read it."""
    from rlvr.policy.policy import load_policy

    loaded = load_policy("embedded")
    loaded.model.requires_grad_(False)
    return loaded
