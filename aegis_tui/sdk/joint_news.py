"""Asks the hub how others have changed the files that an agent has just locked (LOCK-3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aegis_tui.domain.lock.news_text import merged_words, write_words
from aegis_tui.errors import AegisError
from aegis_tui.sdk.tool_results import Lock, LockAnswer

_Ask = Callable[..., Awaitable[dict[str, Any]]]


async def granted(ask: _Ask, reply: Mapping[str, Any], paths: Iterable[str]) -> LockAnswer:
    """Return the answer of a tool about locks that were granted or renewed.

    Args:
        ask: Sends a command to the hub and returns its reply.
        reply: The hub's reply, with `locks`.
        paths: The files whose news the agent should know.
    """
    locks = [Lock.model_validate(item) for item in reply["locks"]]
    return LockAnswer(granted=True, locks=locks, moved_on=await moved_on(ask, paths))


async def moved_on(ask: _Ask, paths: Iterable[str]) -> list[str]:
    """Return what an agent should know about joint files that others have changed; empty for all other files.

    A path about which the hub does not answer is left out.

    Args:
        ask: Sends a command to the hub and returns its reply.
        paths: The locked files.
    """
    news_lines: list[str] = []
    for path in paths:
        try:
            news = await ask("lock:news", path=path)
        except AegisError:
            continue
        news_lines += [merged_words(path, news["merged"])] if news.get("merged") else []
        news_lines += [write_words(path, item) for item in news.get("writes", [])]
    return news_lines
