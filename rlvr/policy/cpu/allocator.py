"""Freed memory of a process on a CPU: kept for what comes next."""

import ctypes
import sys

# of malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def reuse_freed_memory() -> None:
    """Let glibc keep what is freed, up to half a gigabyte, where it can be used again as it is.

    Left to itself it gives most of it back to the system, and each page that comes again is cleared: a third
    of an update's time. Blocks above 32 MB still go back, since they would leave holes that nothing fits.
    Holes of smaller blocks take 1 to 10 % of the memory: small objects settle on the ends that are cut off
    where torch wants an address in multiples of 64. `GLIBC_TUNABLES=glibc.malloc.tcache_count=0` saves them,
    if it is set before the process starts.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
