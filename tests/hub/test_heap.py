from __future__ import annotations

import platform
import subprocess
import sys

GROW_AND_FREE = """
import psutil, zlib
from aegis_tui.hub.heap import give_memory_back
print(give_memory_back())
me = psutil.Process()
before = me.memory_info().rss
held = []
for size in range(200, 400):
    block = bytearray(size * 4096)      # larger each time: glibc would move its threshold behind it
    held.append(bytes(64))
    del block
print(me.memory_info().rss - before)
"""


def test_large_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", GROW_AND_FREE], capture_output=True, text=True, check=True, timeout=60)
    settled, grown = done.stdout.split()
    assert settled == str(platform.libc_ver()[0] == "glibc")
    assert int(grown) < 2 << 20
