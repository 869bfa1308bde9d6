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
        """Wait until each server has started or failed to; return the tools of those that started, sorted by name.

        May be empty; never raises. The servers that failed are named by `problems`.
        """
        ...

    def problems(self) -> Sequence[str]:
        """Return why servers or tools were left out of `listed`, one sentence each; empty if none has failed so far."""
        ...

    async def run(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Run a tool of `listed` with its arguments; return the text of its result, and whether that is an error.

        What goes wrong, such as a server that has ended or a tool that takes too long, is such an error text.

        Raises:
            KeyError: There is no such tool.
        """
        ...
