"""Completes steps that a cancelled task must not leave half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def whole(step: Coroutine[Any, Any, _T]) -> _T:
    """Await a step to its end, however often the caller is cancelled meanwhile.

    Returns:
        What the step returns.

    Raises:
        CancelledError: The caller was cancelled; the step has ended nevertheless, and its result or error is lost. Or
            the step itself was cancelled.
        Exception: The step raised it, and the caller was not cancelled.
    """
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            break
    if cancelled is not None and not task.cancelled():
        task.exception()
        raise cancelled
    return task.result()


async def whole_in_thread(call: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call something that blocks in a thread, and return or raise what it does; see `whole`.

    A thread cannot be cancelled: whoever is cancelled while it runs would go on, and close or delete what it uses.
    """
    return await whole(asyncio.to_thread(call, *args, **kwargs))
