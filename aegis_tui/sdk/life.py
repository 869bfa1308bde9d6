"""Whether a started process makes progress: judged by its processor time and its log, not by how long it takes.

On a loaded machine a start can take very long, so a process that works is waited for. Only one that has shown no sign
of life for a long time is given up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

SILENT_S = 120.0
"""A process that used no processor time and wrote nothing for this long is given up."""

HUB_LOG_BYTES = 8 << 20
"""A hub.log that is larger than this is renamed to hub.log.1 when the next hub starts; one old file is kept."""

TELL_AFTER_S, TELL_EVERY_S = 3.0, 5.0

Told = Callable[[str], None]
"""Receives one line of text about a slow start."""

_PROC = Path("/proc")
_STATES = {"T": "it is stopped: `kill -CONT {pid}` lets it continue", "D": "it is waiting for the disk"}
_BUSY_STATES = ("R", "D")


def open_log(log: Path) -> tuple[int, int]:
    """Open the log of a process for appending, mode 0600.

    Return the descriptor, to be closed by the caller, and its size. The size in bytes tells what was there before. A
    log of more than `HUB_LOG_BYTES` is moved aside first, over the one that was moved before.

    Raises:
        OSError: The file cannot be moved or opened.
    """
    if log.exists() and log.stat().st_size > HUB_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return descriptor, os.fstat(descriptor).st_size


class StartWatch:
    """Observes a starting process; `look` checks it once."""

    def __init__(self, pid: int, log: Path, *, said_before: int, told: Told | None = None) -> None:
        """Start to observe a process.

        Args:
            pid: The process.
            log: The file that it logs to.
            said_before: How many bytes of that file were there before the process started.
            told: Called every few seconds with a line about a slow start.
        """
        self.pid = pid
        self._log, self._said_before, self._report = log, said_before, told
        self._started = self._alive_at = time.monotonic()
        self._tell_at = self._started + TELL_AFTER_S
        self._seen: tuple[int, int] | None = None

    def follow(self, pid: int) -> None:
        """Observe another process from now on: one that was started earlier and that this start waits for."""
        self.pid = pid

    def look(self) -> float:
        """Return for how long the process has shown no sign of life, in seconds; every few seconds, report to `told`.

        Signs of life since the last call are processor time and a longer log; a process that runs or waits for the disk
        is alive.
        """
        now = time.monotonic()
        state, ticks = _state_of(self.pid)
        seen = (ticks, _size(self._log))
        if seen != self._seen or state in _BUSY_STATES:
            self._seen, self._alive_at = seen, now
        if self._report is not None and now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            doing = _STATES.get(state, "").format(pid=self.pid) or last_words(self._log, self._said_before) or "loading"
            self._report(f"the hub (process {self.pid}) has been starting for {now - self._started:.0f} s: {doing}")
        return now - self._alive_at


def last_words(log: Path, offset: int) -> str:
    """Return what follows the last `: ` in the last line of a log after byte `offset`; empty if there is no line."""
    lines = _written(log, offset).splitlines()
    return lines[-1].rpartition(": ")[2] if lines else ""


def tail(log: Path, offset: int) -> str:
    """Return the last 15 lines of the log after byte `offset`, or that there are none, as the end of a sentence."""
    said = _written(log, offset)
    return f":\n{chr(10).join(said.splitlines()[-15:])}" if said else ", and wrote nothing to its log"


def _written(log: Path, offset: int) -> str:
    try:
        return log.read_bytes()[offset:].decode(errors="replace").strip()
    except OSError:
        return ""


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def _state_of(pid: int) -> tuple[str, int]:
    """Return a process's state, and the processor time that it has used, to be compared with an earlier result only.

    The state is its letter (proc_pid_stat(5)). On systems without /proc it is `T` for a stopped process, and empty for
    any other: macOS calls every process running that is not stopped, so that a hung one would seem busy for ever.
    If there is no such process, return an empty string and 0.
    """
    if (_PROC / "self" / "stat").exists():
        try:
            fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return "", 0
        return fields[0].decode(), int(fields[11]) + int(fields[12])
    import psutil  # slow to import, and needed on other systems only

    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return ("T" if process.status() == psutil.STATUS_STOPPED else ""), int(1000 * (times.user + times.system))
    except psutil.Error:
        return "", 0
