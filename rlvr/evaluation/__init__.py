"""pass@k, its intervals and tests, and the sampling that they are computed from."""

from rlvr.evaluation.passk import counts, pass_at_k, pass_at_k_of

__all__ = ["counts", "pass_at_k", "pass_at_k_of"]
