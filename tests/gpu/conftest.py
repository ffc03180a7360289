"""What runs on CUDA, against the same on a CPU or against transformers' own forward."""

from pathlib import Path

import pytest
import torch


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here:
        item.add_marker("gpu")
        if not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA on this machine"))
    # what compiles comes last: it takes most of the time, which may be up before all have run
    compiling = [item for item in here if "flex" in item.name or "compiled" in item.name]
    items.sort(key=compiling.__contains__)


@pytest.fixture
def device() -> str:
    return "cuda"
