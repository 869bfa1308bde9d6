"""The shared context, put together from its pages where it is too large for one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aegis_tui.sdk.wire import add_section


async def whole_context(ask: Callable[..., Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The SharedContext of contract 6, whole.

    A context of many pages is not of one instant: what changed while they were read may be in it in either state.

    Args:
        ask: Sends one command by its type and fields, and gives its reply.
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
