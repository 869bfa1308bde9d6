"""Gives the same tools the same order in every request, because prefix caches depend on it (LLM-3, LLM-10).

Programs that collect their tools from several MCP servers list them in another order at each start. A model reads the
tools before the conversation, so with another order nothing after them is found in the server's cache.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from aegis_tui.gateway.sketch import Fields

MOST_SETS = 256
"""Orders of more sets of tools than these are forgotten, the least recently used first."""
_MOST_TOOLS, _MOST_NAME_CHARS = 1024, 256


class ToolOrder:
    """The order in which each set of tools came first."""

    def __init__(self) -> None:
        self._orders: OrderedDict[frozenset[str], tuple[str, ...]] = OrderedDict()

    def settle(self, fields: Fields) -> list[Any] | None:
        """Return the tools of a request in the order in which the same tools came first; None to leave them.

        They are left as they are if they have that order, if two have the same name or one has none, and if one of them
        ends a part that the client wants to be cached (`cache_control`).

        Args:
            fields: The request, of any dialect.
        """
        tools = fields.get("tools")
        if not isinstance(tools, list) or not 1 < len(tools) <= _MOST_TOOLS:
            return None
        by_name = {name: tool for tool in tools if (name := _name_of(tool))}
        if len(by_name) < len(tools):
            return None
        names, key = tuple(by_name), frozenset(by_name)
        order = self._orders.setdefault(key, names)
        self._orders.move_to_end(key)
        if len(self._orders) > MOST_SETS:
            self._orders.popitem(last=False)
        return None if order == names else [by_name[name] for name in order]


def _name_of(tool: Any) -> str | None:
    if not isinstance(tool, dict) or "cache_control" in tool:
        return None
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("name")
    return name if isinstance(name, str) and len(name) <= _MOST_NAME_CHARS else None
