import ctypes
import subprocess
import sys

import pytest

WORK = """
import ctypes
from rlvr.memory import reuse_freed_memory

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks "
        "uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype = Mallinfo2, ctypes.c_void_p

def heap_after(megabytes):
    block = libc.malloc(ctypes.c_size_t(megabytes * 2**20))
    libc.free(ctypes.c_void_p(block))
    return libc.mallinfo2().arena // 2**20

before = libc.mallinfo2().arena // 2**20
left, _ = heap_after(20), reuse_freed_memory()
print(left - before, heap_after(30) - before, heap_after(100) - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc")
def test_freed_memory_is_kept_up_to_a_size():
    """Megabytes of the heap after 20 are freed without it, and 30 and 100 with it."""
    output = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True).stdout
    left, kept, given_back = map(int, output.split())
    assert left == 0
    assert kept == given_back
    assert kept in range(29, 33)
