"""How the hub gives memory back: it runs for days, and what it has used once must not stay with it (PERF-17).

A snapshot needs buffers of megabytes for a moment. By default glibc learns from the first of them to keep such blocks
on its heap, one heap a thread, where later small allocations hold the pages for good.
"""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""The parameters of mallopt(3)."""

_LARGE_BYTES: Final = 128 * 1024
_ARENAS: Final = 2


def give_memory_back() -> bool:
    """Let large blocks go back to the system when they are freed; False where the C library has no such setting.

    To be called before the first thread starts.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, 2 * _LARGE_BYTES), (_ARENA_MAX, _ARENAS))
    return all(mallopt(name, value) == 1 for name, value in settings)
