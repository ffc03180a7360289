"""What a config may say and seldom means is said."""

import pytest

from rlvr.config import load_config
from rlvr.runs.cautions import cautions


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], []),
        (["advantage_scaling=focal"], []),
        (["advantage_scaling=power", "algorithm.normalize_std=false"], []),
        (["advantage_scaling=power", "algorithm=maxrl"], []),  # an estimator without a standard deviation
        (["advantage_scaling=power"], ["advantage_scaling=power with algorithm.normalize_std=true weighs"]),
        (
            ["advantage_scaling=curverl"],
            ["advantage_scaling=curverl with algorithm.normalize_std=true weighs"],
        ),
        (["training.sampling.top_p=0.9"], ["training.sampling.top_p=0.9 and top_k=0 sample from a part"]),
        (["training.sampling.top_k=5"], ["training.sampling.top_p=1 and top_k=5 sample from a part"]),
        (["training.sampling.top_k=5", "training.steps=0"], []),
    ],
)
def test_cautions(overrides: list[str], said: list[str]):
    found = list(cautions(load_config(overrides)))
    assert len(found) == len(said)
    for sentence, beginning in zip(found, said, strict=True):
        assert sentence.startswith(beginning)
