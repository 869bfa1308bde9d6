"""Notices that a program's turn in its own interface is over (AGENT-1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psutil

from aegis_tui.agent.descendants import descendants
from aegis_tui.agent.hosted.pty_host import PtyHost
from aegis_tui.agent.hosted.relay import Counted

_LOOK_S = 0.5
_SETTLED_S = 3.0
_LONGEST_DRAWING_S = 20.0
"""A program that still draws is at work for that long after its last call; then its interface only moves by itself."""
_LONGEST_CHILD_S = 900.0
"""A process that the program has started counts as work for that long; then as a server that it keeps."""


async def turn_over(
    host: PtyHost, count: Callable[[], Awaitable[Counted | None]], before: frozenset[psutil.Process]
) -> None:
    """Return when the program has done nothing for 3 s: no running or new call to its model, no process, no drawing.

    On a busy machine it may take longer from a tool's result to the next call: then it still draws, which counts for
    20 s. A process started since `before` counts as work for 15 minutes. Times are counted by looks every half second:
    while the machine sleeps, nothing gets older.

    Args:
        host: The program.
        count: Returns what the gateway has counted for the instance; None if it does not answer.
        before: The processes below this one at the start of the turn.
    """
    quiet_s, idle_s, calls, written_bytes = 0.0, 0.0, -1, host.written_bytes
    seen_s: dict[psutil.Process, float] = {}
    while quiet_s < _SETTLED_S and idle_s < _LONGEST_DRAWING_S:
        await asyncio.sleep(_LOOK_S)
        counted = await count()
        is_busy = counted is None or counted.running > 0 or counted.calls != calls
        calls = counted.calls if counted else calls
        seen_s = {child: seen_s.get(child, 0.0) + _LOOK_S for child in await asyncio.to_thread(_children, before)}
        is_busy = is_busy or any(age_s < _LONGEST_CHILD_S for age_s in seen_s.values())
        idle_s = 0.0 if is_busy else idle_s + _LOOK_S
        quiet_s = 0.0 if is_busy or host.written_bytes != written_bytes else quiet_s + _LOOK_S
        written_bytes = host.written_bytes


def _children(before: frozenset[psutil.Process]) -> list[psutil.Process]:
    """Return the processes below this one that run and are not among `before`."""
    children = []
    for process in descendants() - before:
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                children.append(process)
    return children
