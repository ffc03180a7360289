"""Which generated problems belong to the benchmarks: a fixed split, whatever the seeds and sizes."""

import hashlib

HELD_OUT_SHARE = 8  # one problem in eight belongs to the benchmarks


def held_out_by_hash(key: str) -> bool:
    """Whether the problem that `key` stands for is kept from training and the warm start."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0
