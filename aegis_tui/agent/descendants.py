"""The processes below this one: an agent adopts those whose parent has ended, and ends all with itself (PANE-8)."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Collection

import psutil

_GRACE_S = 3.0
_SET_CHILD_SUBREAPER = 36
"""prctl(2): processes whose parent has ended become children of this process, so that none can hide."""


def adopt_orphans(*, does: bool = True) -> None:
    """Let this process become the parent of descendants whose own parent ends; `does=False` undoes that.

    No effect on other systems than Linux, or if the system refuses.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, int(does), 0, 0, 0)


def descendants() -> frozenset[psutil.Process]:
    """Return every process below this one, at any depth, also those that have ended and are not yet waited for."""
    return frozenset(psutil.Process().children(recursive=True))


def end_descendants(spared: Collection[psutil.Process] = ()) -> None:
    """End every process below this one but the spared: SIGTERM, then SIGKILL for those that still run after `_GRACE_S`.

    Return when all have ended, at the latest `_GRACE_S` (3 s) after SIGKILL, even if one still runs. Blocks.
    """
    children = [child for child in descendants() if child not in spared]
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.terminate()
    _, alive = psutil.wait_procs(children, timeout=_GRACE_S)
    for child in alive:
        with contextlib.suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
