"""Marks files that this program put into a worktree, so that unchanged ones are not taken for an agent's work (GIT-1).

The mark is an extended attribute with size and time of the file; a file that was changed since has others. Where the
file system has no such attributes, nothing is marked, and the files count as work.
"""

from __future__ import annotations

import contextlib
import os

_NAME = "user.aegis-tui.given"


def mark_given(descriptor: int) -> None:
    """Mark an open file as put there by this program; call it after the last change. No effect where it cannot be."""
    if hasattr(os, "setxattr"):
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, _NAME, _state(os.fstat(descriptor)))


def is_given(descriptor: int) -> bool:
    """Return whether an open file was put there by this program and not changed since."""
    if not hasattr(os, "getxattr"):
        return False
    try:
        return os.getxattr(descriptor, _NAME) == _state(os.fstat(descriptor))
    except OSError:
        return False


def _state(status: os.stat_result) -> bytes:
    return f"{status.st_size}:{status.st_mtime_ns}".encode("ascii")
