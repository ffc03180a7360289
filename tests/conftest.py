"""What many tests share: the embedded policy, and one thread so that results repeat bit for bit."""

import pytest
import torch

from rlvr.policy.policy import Policy, load_policy

torch.set_num_threads(1)


@pytest.fixture
def policy() -> Policy:
    """A fresh copy of the embedded policy; a test may change its weights."""
    return load_policy("embedded")


@pytest.fixture(scope="session")
def frozen_policy() -> Policy:
    """The embedded policy for tests that only read it."""
    loaded = load_policy("embedded")
    loaded.model.requires_grad_(False)
    return loaded
