"""Tools that the person's MCP servers bring to an agent (AGENT-7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ForeignTool:
    """One tool."""

    name: str
    """At most 64 letters, digits, `_` and `-`."""
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """The JSON Schema of its arguments."""


class ForeignTools(Protocol):
    """The tools of all servers."""

    async def listed(self) -> Sequence[ForeignTool]:
        """Wait until each server has started or failed to; return all tools, sorted by name."""
        ...

    def problems(self) -> Sequence[str]:
        """Return why a server or a tool was left out, in sentences; empty if none was, or none has failed so far."""
        ...

    async def run(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Run a listed tool; return the text of its result, and whether that is an error. Raises nothing."""
        ...
