"""Make the hub return freed memory to the system, because it runs for days (PERF-17).

A snapshot needs buffers of megabytes for a moment. By default glibc then keeps such blocks on its heaps (one heap for
each thread), where later small allocations prevent that their pages are ever returned.
"""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""The parameters of mallopt(3)."""

_LARGE_BYTES: Final = 512 * 1024
"""More than the 256 KiB into which asyncio receives: otherwise each message costs three calls of the system."""
_ARENAS: Final = 2


def give_memory_back() -> bool:
    """Set glibc to return large blocks to the system when they are freed; call it before the first thread starts.

    Returns:
        True when all settings were made; False when the C library does not have them, or refuses one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, 2 * _LARGE_BYTES), (_ARENA_MAX, _ARENAS))
    return all(mallopt(name, value) == 1 for name, value in settings)
