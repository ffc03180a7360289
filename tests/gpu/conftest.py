"""What runs on CUDA, against the same on a CPU or against transformers' own forward."""

from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("gpu")
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no CUDA on this machine"))


@pytest.fixture
def device() -> str:
    return "cuda"
