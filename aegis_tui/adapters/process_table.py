"""All processes of the machine at one moment, with their parents, groups and sessions, read in one pass (PANE-8)."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

_STAT = Path("/proc/self/stat")
_PART_BYTES = 64 * 1024
_DEAD = (b"Z", b"X")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, distinguished from a later process with the same pid."""

    pid: int
    start_time: float
    """The value of `process_start_time` for it."""


class _Row(NamedTuple):
    parent: int
    group: int
    session: int
    start_time: float | None
    """None for a zombie."""


class ProcessTable:
    """The processes that ran at one moment, zombies included."""

    def __init__(self, rows: dict[int, _Row]) -> None:
        self._rows = rows
        self._children: defaultdict[int, list[int]] = defaultdict(list)
        for pid, row in rows.items():
            self._children[row.parent].append(pid)

    def __contains__(self, pid: int) -> bool:
        return self.get(pid) is not None

    def get(self, pid: int) -> ProcessIdentity | None:
        """Return the process that had this pid; None if there was none, or a zombie."""
        row = self._rows.get(pid)
        return None if row is None or row.start_time is None else ProcessIdentity(pid, row.start_time)

    def all(self) -> Iterator[ProcessIdentity]:
        """Yield all processes but zombies."""
        return (identity for pid in self._rows if (identity := self.get(pid)) is not None)

    def identities(self, pids: Iterable[int]) -> list[ProcessIdentity]:
        """Return the processes with these pids, in the given order, without zombies and pids that nobody had."""
        return [identity for pid in pids if (identity := self.get(pid)) is not None]

    def descendants(self, pid: int) -> list[int]:
        """Return the pids of the children of a process, of their children, and so on, zombies too.

        A parent comes before its children. Empty if there are none.
        """
        descendants: list[int] = []
        open_pids, seen = [pid], {pid}
        while open_pids:
            for child in self._children.get(open_pids.pop(), ()):
                if child not in seen:
                    seen.add(child)
                    descendants.append(child)
                    open_pids.append(child)
        return descendants

    def led_by(self, pid: int) -> list[int]:
        """Return the pids of all processes whose session or process group has the id `pid`, itself and zombies too."""
        return [other for other, row in self._rows.items() if pid in (row.group, row.session)]


def read_table() -> ProcessTable:
    """Return all processes that run now, zombies too; one that starts or ends meanwhile may be missing."""
    rows = _from_proc() if _STAT.exists() else _from_psutil()
    return ProcessTable(dict(rows))


def ancestors(pid: int) -> list[int]:
    """Return the pids of the parent of a process, of the parent's parent, and so on, as far as they can be read.

    The nearest comes first. Empty if there is no such process.
    """
    parents: list[int] = []
    while (parent := _parent(pid)) is not None and parent not in parents:
        parents.append(parent)
        pid = parent
    return parents


def _parent(pid: int) -> int | None:
    if _STAT.exists():
        row = _row(pid)
        return row.parent if row else None
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).ppid()
    return None


def _from_proc() -> Iterator[tuple[int, _Row]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - paths would cost more than the reading
        if name.isdecimal() and (row := _row(int(name))):
            yield int(name), row


def _row(pid: int) -> _Row | None:
    """Return parent, group, session and start time of a process from `/proc`; None if there is none.

    A zombie has a row, without a start time.
    """
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not fields:
        return None
    start_time = None if fields[0] in _DEAD else int(fields[19]) / _TICKS
    return _Row(int(fields[1]), int(fields[2]), int(fields[3]), start_time)


def read_environ(pid: int) -> bytes:
    """Return the environment that a process was started with: `NAME=value` items, each ended by a zero byte.

    Empty for a process of the kernel itself.

    Raises:
        OSError: It has ended, or belongs to another user.
    """
    descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _PART_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    """Return a file of `/proc`, at most 64 KiB of it; empty if it cannot be read, as after the process has ended."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _PART_BYTES)
        finally:
            os.close(descriptor)
    return b""


def _from_psutil() -> Iterator[tuple[int, _Row]]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            is_dead = process.status() == psutil.STATUS_ZOMBIE
            start_time = None if is_dead else process.create_time()
            pid = process.pid
            yield pid, _Row(process.ppid(), os.getpgid(pid), os.getsid(pid), start_time)
