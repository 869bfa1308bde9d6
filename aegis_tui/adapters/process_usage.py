"""How much memory and processor time an instance uses: its pane's process and everything below it (PANE-8)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from aegis_tui.adapters.process import bears_marker
from aegis_tui.adapters.process_table import ProcessTable, read_table


class ProcessUsage(NamedTuple):
    """What a process and its descendants use."""

    processes: int
    """How many of them are alive, the first one included."""
    memory_bytes: int
    """Their resident memory, on Linux without what processes may have in common: pages of files and shared memory."""
    cpu_s: float
    """Processor time so far, with that of children that have ended and were waited for."""


def find_usage(pid: int, marker: tuple[str, str], table: ProcessTable | None = None) -> ProcessUsage | None:
    """Return what the process of a pane and its descendants use now; None if it has ended.

    Args:
        pid: The first process of the pane. Another process that has its pid by now is not counted.
        marker: Instance id and workspace key, which the pane's process has in its environment.
        table: The processes of the machine; by default they are read.
    """
    table = table or read_table()
    if pid not in table or not bears_marker(pid, marker):
        return None
    return _sum_of(identity.pid for identity in table.identities([pid, *table.descendants(pid)]))


def _sum_of(pids: Iterable[int]) -> ProcessUsage:
    processes, memory_bytes, cpu_s = 0, 0, 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            with process.oneshot():
                memory, times = process.memory_info(), process.cpu_times()
            processes += 1
            memory_bytes += max(0, memory.rss - getattr(memory, "shared", 0))
            ended_s = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            cpu_s += times.user + times.system + ended_s
    return ProcessUsage(processes, memory_bytes, cpu_s)
