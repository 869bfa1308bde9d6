"""Waits whose time runs only while this process runs: not while the machine sleeps or the process is stopped (PANE-9).

After a machine has slept, whatever this process waits for had no time to happen either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_STEP_S = 1.0
"""A step of a wait; it counts for no more than this, however long it took. A stop thus costs at most one step."""


async def awake_wait(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """Return the result of a coroutine, or raise its error; if it needs longer than the time, cancel it.

    Time in which the machine sleeps or this process is stopped does not count.

    Args:
        work: The coroutine. It is cancelled, too, if the caller is.
        timeout_s: The longest wait, in seconds in which this process ran.

    Raises:
        TimeoutError: The time is over, and the coroutine has ended.
    """
    task = asyncio.ensure_future(work)
    left_s = timeout_s
    try:
        while not task.done() and left_s > 0:
            await asyncio.wait({task}, timeout=min(left_s, _STEP_S))
            left_s -= _STEP_S
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    raise TimeoutError
