"""Process trees, and ending all processes of one (PANE-8).

Only this module sends signals to trees. It never signals pid 1, this process, its ancestors, or a pid that was reused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from aegis_tui.adapters.process_table import ProcessIdentity, ancestors, read_environ, read_table
from aegis_tui.sdk.discovery import process_start_time

MARKER_VARIABLES = ("AEGIS_INSTANCE", "AEGIS_WORKSPACE")
"""Environment variables that every process of an instance inherits, even one that left its session."""

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "environ").exists()
_KILL_ROUNDS = 5
_KILL_WAIT_S = 1.0
_CHUNK_BYTES = 256 * 1024


def find_identity(pid: int) -> ProcessIdentity | None:
    """Return the process that has `pid` now, or None if there is none or it is a zombie."""
    start_time = process_start_time(pid)
    return None if start_time is None else ProcessIdentity(pid, start_time)


def is_same_process_alive(identity: ProcessIdentity) -> bool:
    """Return whether exactly this process still runs; False for a zombie and for another process with its pid."""
    return find_identity(identity.pid) == identity


def process_tree(pid: int) -> list[ProcessIdentity]:
    """Return process `pid` first, then its descendants and the other processes of the session and group it leads.

    Empty if there is no such process, or it is a zombie; other zombies are left out.
    """
    table = read_table()
    if pid not in table:
        return []
    members = dict.fromkeys([pid, *table.descendants(pid), *table.led_by(pid)])
    return table.identities(members)


def end_process_tree(pid: int | None, *, marker: tuple[str, str] | None, grace_s: float) -> int:
    """End a process, its descendants, its session and every process that has the marker in its environment.

    Send SIGTERM first, and SIGKILL to those that are left after `grace_s`; processes that they start meanwhile are
    ended too. This process, its ancestors, and what may not be signalled are spared. Blocks for at most `grace_s` plus
    about five seconds; raises nothing. Source: PANE-8.

    Args:
        pid: The root of the tree, or None to use only the marker (the root has ended, and its pid may be reused).
        marker: Instance id and workspace key, in the order of `MARKER_VARIABLES`; a process must have both.
        grace_s: Seconds to wait between the two signals.

    Returns:
        How many processes were found, ended or not; 0 if there are none.
    """
    spared = _spared()
    root = find_identity(pid) if pid is not None and pid not in spared else None
    known: set[ProcessIdentity] = set()
    unmarked: set[ProcessIdentity] = set()
    _collect(known, root, marker, spared, unmarked)
    if not known:
        return 0
    _signal_all(known, signal.SIGTERM)
    _wait_gone(known, grace_s)
    for _ in range(_KILL_ROUNDS):
        _collect(known, root, marker, spared, unmarked)
        if not any(is_same_process_alive(identity) for identity in known):
            break
        _signal_all(known, signal.SIGKILL)
        _wait_gone(known, _KILL_WAIT_S)
    return len(known)


def end_group(group: int, *, grace_s: float) -> None:
    """End what is left of a process group whose leader has ended, by SIGTERM and after `grace_s` by SIGKILL.

    Processes of the leader's session are ended too; this process and its ancestors are spared. Blocks until all have
    ended, for about `grace_s` plus five seconds at most. Raises nothing.
    """
    spared = _spared()
    members = _led_by(group, spared)
    _signal_all(members, signal.SIGTERM)
    _wait_gone(members, grace_s)
    for _ in range(_KILL_ROUNDS):
        members = _led_by(group, spared)
        if not members:
            return
        _signal_all(members, signal.SIGKILL)
        _wait_gone(members, _KILL_WAIT_S)


def end_marked(variable: str, value: str) -> None:
    """Kill (SIGKILL) every process that has this value of a variable in its environment.

    Processes that they start meanwhile are killed too. Blocks until they are gone, for about five seconds at most. This
    process and its ancestors are spared. This finds processes of a program that left its session and group, but not one
    that cleared its environment or that another user owns. Raises nothing.

    Args:
        variable: The name of the variable.
        value: Its whole value, as the process was started with.
    """
    spared = _spared()
    for _ in range(_KILL_ROUNDS):
        marked = [pid for pid in psutil.pids() if pid not in spared and _has_variable(pid, variable, value)]
        identities = [identity for pid in marked if (identity := find_identity(pid)) is not None]
        if not identities:
            return
        _signal_all(identities, signal.SIGKILL)
        _wait_gone(identities, _KILL_WAIT_S)


def _has_variable(pid: int, variable: str, value: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if _HAS_PROC:
            return f"{variable}={value}".encode() in read_environ(pid).split(b"\0")
        return psutil.Process(pid).environ().get(variable) == value
    return False


def kill_child(process: asyncio.subprocess.Process) -> None:
    """Send SIGKILL to a child that has not been waited for; the caller must wait for it. No effect on one that ended.

    `process.kill()` is not used: it polls, and so reaps an ended child before asyncio's own watcher can, which then
    loses the exit code, with a warning (Python 3.11).
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def end_child(process: asyncio.subprocess.Process) -> None:
    """Kill a child, discard what its pipes still hold, and wait for it; one that has ended is not killed again.

    If another process has inherited its pipes, this waits until that one has closed them too. A cancellation takes
    effect (`CancelledError`) only afterwards, because a child that is not waited for leaves its pipes open.
    """
    kill_child(process)
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            await _drain_and_wait(process)
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def _drain_and_wait(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for stream in (process.stdout, process.stderr):
        # Otherwise the pipes' transports would not see the end of the stream and would stay open.
        with contextlib.suppress(OSError):
            while stream is not None and await stream.read(_CHUNK_BYTES):
                pass
    await process.wait()
    if process.stdin is not None:
        # A failed write to a child that has ended no longer matters.
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()


def _collect(
    known: set[ProcessIdentity],
    root: ProcessIdentity | None,
    marker: tuple[str, str] | None,
    spared: set[int],
    unmarked: set[ProcessIdentity],
) -> None:
    """Add new processes to `known`: the trees of the root and of all known ones, and those with the marker.

    Args:
        known: The set to add to; processes in `spared` are removed from it.
        root: The root of the tree; None if only the marker is used.
        marker: The values of `MARKER_VARIABLES`; None if only the tree is used.
        spared: The pids that are never signalled.
        unmarked: Processes without the marker, which are not examined again; those that are found are added. A process
            that is started by a marked one is a new one, and has the marker from its first moment.
    """
    table = read_table()
    if root is not None and table.get(root.pid) == root:
        known.update(table.identities([root.pid, *table.descendants(root.pid), *table.led_by(root.pid)]))
    for identity in list(known):
        if table.get(identity.pid) == identity:
            known.update(table.identities(table.descendants(identity.pid)))
    if marker is not None:
        for identity in set(table.all()) - known - unmarked:
            (known if bears_marker(identity.pid, marker) else unmarked).add(identity)
    known.difference_update([identity for identity in known if identity.pid in spared])


def _spared() -> set[int]:
    """Return the pids that are never signalled: 0, 1, this process and its ancestors."""
    return {0, 1, os.getpid(), *ancestors(os.getpid())}


def _signal_all(identities: Iterable[ProcessIdentity], number: signal.Signals) -> None:
    for identity in identities:
        if not is_same_process_alive(identity):
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(identity.pid, number)
            if number is signal.SIGTERM:
                os.kill(identity.pid, signal.SIGCONT)


def _wait_gone(identities: Iterable[ProcessIdentity], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while any(is_same_process_alive(identity) for identity in identities) and time.monotonic() < deadline:
        time.sleep(0.01)


def _led_by(pid: int, spared: set[int]) -> list[ProcessIdentity]:
    """Return all processes whose session or process group has the id `pid`, without zombies and those in `spared`."""
    table = read_table()
    return table.identities(other for other in table.led_by(pid) if other not in spared)


def bears_marker(pid: int, marker: tuple[str, str]) -> bool:
    """Return whether a process has both marker variables in its environment; False if that cannot be read.

    Args:
        pid: The process.
        marker: The values of `MARKER_VARIABLES`.
    """
    wanted = dict(zip(MARKER_VARIABLES, marker, strict=True))
    with contextlib.suppress(psutil.Error, OSError):
        if _HAS_PROC:
            entries = read_environ(pid).split(b"\0")
            return all(f"{name}={value}".encode() in entries for name, value in wanted.items())
        environ = psutil.Process(pid).environ()
        return all(environ.get(name) == value for name, value in wanted.items())
    return False
