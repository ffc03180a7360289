"""pass@k, its intervals and tests, and the sampling that they are computed from."""

from rlvr.evaluation.intervals import bootstrap_interval, share_interval
from rlvr.evaluation.passk import counts, pass_at_k, pass_at_k_of
from rlvr.evaluation.significance import paired_subsampling_test

__all__ = [
    "bootstrap_interval",
    "counts",
    "paired_subsampling_test",
    "pass_at_k",
    "pass_at_k_of",
    "share_interval",
]
