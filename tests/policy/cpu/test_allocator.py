import ctypes
import subprocess
import sys

import pytest

HEAP = """
import ctypes

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks "
        "uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype = Mallinfo2, ctypes.c_void_p
"""
FREED = """
from rlvr.policy.cpu.allocator import keep_freed_heap

def heap_after(megabytes):
    block = libc.malloc(ctypes.c_size_t(megabytes * 2**20))
    libc.free(ctypes.c_void_p(block))
    return libc.mallinfo2().arena // 2**20

before = libc.mallinfo2().arena // 2**20
left, _ = heap_after(20), keep_freed_heap()
print(left - before, heap_after(30) - before, heap_after(100) - before)
"""
KERNELS = """
import torch
from rlvr.policy.cpu.linear import keep_few_kernels, linear

keep_few_kernels()

def used_after(rows):
    with torch.no_grad():
        for count in rows:
            linear(torch.ones(count, 64), weight)
    return libc.mallinfo2().uordblks // 2**20

weight = torch.ones(96, 64)
print(used_after(range(1, 200)), used_after(range(200, 500)))
"""

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc")


def printed(work: str) -> list[int]:
    """The numbers that a process of its own prints."""
    run = subprocess.run([sys.executable, "-c", HEAP + work], capture_output=True, text=True, check=True)
    return list(map(int, run.stdout.split()))


def test_freed_memory_is_kept_up_to_a_size():
    """Megabytes of the heap after 20 are freed without it, and 30 and 100 with it."""
    left, kept, given_back = printed(FREED)
    assert left == 0
    assert kept == given_back
    assert kept in range(29, 33)


def test_kernels_of_new_shapes_take_the_place_of_old_ones():
    """Megabytes in use after 199 shapes, more than are kept, and after 300 more."""
    first, second = printed(KERNELS)
    assert second - first < 16
