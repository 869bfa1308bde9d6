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
    Under a real-time policy, where none of that has an effect, the process and what it starts get the lowest priority
    of the policy. Source: sched(7): the nice value, group scheduling, SCHED_FIFO.

    Args:
        pid: The process; no effect if it has ended.
    """
    with contextlib.suppress(OSError):
        _yield_real_time(pid)
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, pid))
        if os.getsid(pid) != pid:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
            return
        os.setpriority(os.PRIO_PGRP, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(f"{NICENESS}\n", "ascii")


def _yield_real_time(pid: int) -> None:
    """Lower a real-time priority to the lowest of its policy; do nothing to a process without one.

    Raises:
        OSError: The process has ended, or is another user's.
    """
    if not hasattr(os, "sched_getscheduler"):  # only some systems have it
        return
    policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
    if policy in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(pid, policy, os.sched_param(os.sched_get_priority_min(policy)))
