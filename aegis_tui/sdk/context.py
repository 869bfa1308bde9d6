"""Reads the shared context, page by page where it is too large for one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from aegis_tui.sdk.wire import add_section

if TYPE_CHECKING:
    from aegis_tui.domain.wire.context import SharedContext


async def shared_context(ask: Callable[..., Awaitable[dict[str, Any]]]) -> SharedContext:
    """Return the complete SharedContext of contract 6 as `whole_context` does, in its static type; nothing is checked.

    Args:
        ask: Sends one command, given its type and fields, and returns the reply; its errors pass through.
    """
    return cast("SharedContext", await whole_context(ask))


async def whole_context(ask: Callable[..., Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return the complete SharedContext of contract 6.

    If it has several pages, something that changed while they were read may appear in its old or its new state.

    Args:
        ask: Sends one command, given its type and fields, and returns the reply; its errors pass through.
    """
    view = await ask("context:get")
    while cursors := view.pop("next", None):
        rest: dict[str, str] = {}
        for section, after in cursors.items():
            page = await ask("context:get", section=section, **({"after": after} if after else {}))
            add_section(view, page)
            rest |= page.get("next") or {}
        view["next"] = rest
    return view
