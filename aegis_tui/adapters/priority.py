"""Processes that work in the background, so that those for which somebody waits get the processor first (PERF-19)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

NICENESS: Final = 10
"""How far a process in the background stands back: beside a busy one it gets about a tenth of a processor's time."""


def stand_back(pid: int) -> None:
    """Lower the priority of a process of this user, and of those that it starts from now on; raises nothing.

    If it leads a session, as all that this program starts do, those that it has started are included. Linux may share
    the time out among sessions first, and only then among the processes of each, so the session's share is lowered too.
    A process with a real-time policy keeps its priority. Source: sched(7), the nice value and group scheduling.

    Args:
        pid: The process; no effect if it has ended.
    """
    with contextlib.suppress(OSError):
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, pid))
        if os.getsid(pid) != pid:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
            return
        os.setpriority(os.PRIO_PGRP, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(f"{NICENESS}\n", "ascii")
