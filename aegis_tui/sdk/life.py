"""Whether a process that was started gets on: by its processor time and by what it writes, not by how long it takes.

On a loaded machine a start takes as long as it takes; one that lives and works is waited for. Only a process that has
shown no sign of life for a long time is given up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

SILENT_S = 120.0
"""A process that used no processor time and wrote nothing for so long is given up."""

TELL_AFTER_S, TELL_EVERY_S = 3.0, 5.0

Told = Callable[[str], None]
"""Takes one line about a start that takes long."""

_PROC = Path("/proc")
_STATES = {"T": "it is stopped: `kill -CONT {pid}` lets it go on", "D": "it waits for the disk"}
_BUSY_STATES = ("R", "D")


class StartWatch:
    """Looks at a starting process each time `look` is called."""

    def __init__(self, pid: int, log: Path, *, said_before: int, told: Told | None = None) -> None:
        """Name the process.

        Args:
            pid: Ours to look at.
            log: Where it writes what it does.
            said_before: How many bytes of that file are older than it.
            told: Hears of a start that takes long, every few seconds.
        """
        self.pid = pid
        self._log, self._said_before, self._told = log, said_before, told
        self._started = self._alive_at = time.monotonic()
        self._tell_at = self._started + TELL_AFTER_S
        self._seen: tuple[int, int] | None = None

    def follow(self, pid: int) -> None:
        """Look at another process from now on: it was first, and this start waits for it."""
        self.pid = pid

    def look(self) -> float:
        """For how long there was no sign of life, in seconds; says so to `told` now and then."""
        now = time.monotonic()
        state, ticks = _state_of(self.pid)
        seen = (ticks, _size(self._log))
        if seen != self._seen or state in _BUSY_STATES:
            self._seen, self._alive_at = seen, now
        if self._told is not None and now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            doing = _STATES.get(state, "").format(pid=self.pid) or last_words(self._log, self._said_before) or "loading"
            self._told(f"the hub (process {self.pid}) has been starting for {now - self._started:.0f} s: {doing}")
        return now - self._alive_at


def last_words(log: Path, offset: int) -> str:
    """The last line that was written behind `offset`, without time and level; empty when there is none."""
    lines = _written(log, offset).splitlines()
    return lines[-1].rpartition(": ")[2] if lines else ""


def tail(log: Path, offset: int) -> str:
    """The last lines behind `offset`, as the end of a sentence."""
    said = _written(log, offset)
    return f":\n{chr(10).join(said.splitlines()[-15:])}" if said else ", and said nothing"


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
    """The state of a process by its letter (proc_pid_stat(5)), and the processor time it used, in some unit."""
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
