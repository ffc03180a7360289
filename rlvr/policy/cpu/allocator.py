"""Freed memory of a process on a CPU: kept for what comes next."""

import ctypes
import sys

# of malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def keep_freed_heap() -> None:
    """Let glibc keep up to half a gigabyte of what is freed.

    It would return freed heap to the kernel, which clears it page by page when it comes again: a third of an
    update's time. Blocks above 32 MB still go back, since they would leave holes that nothing fits.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
