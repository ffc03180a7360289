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
libc.mallinfo2.restype = Mallinfo2
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


def test_kernels_of_new_shapes_take_the_place_of_old_ones():
    """Megabytes in use after 199 shapes, more than are kept, and after 300 more."""
    first, second = printed(KERNELS)
    assert second - first < 16
