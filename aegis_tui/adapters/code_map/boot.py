"""Tells one run of the machine from another."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def boot_id() -> str:
    """Return a text that identifies this run of the machine: it is another one after each start."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return str(int(psutil.boot_time()) // 60)
