"""The tools of the person's MCP servers, as the built-in agent offers them to its model (AGENT-7)."""

from __future__ import annotations

import json
from typing import Any

from aegis_tui.agent.screen import Screen
from aegis_tui.domain.tool.reading import parse_json
from aegis_tui.ports.foreign_tools import ForeignTools
from aegis_tui.ports.llm import ToolCall

_RESULT_CHARS = 24_000


class ForeignToolbox:
    """Lists and runs the tools; it has none before `prepare`, and none without servers."""

    def __init__(self, tools: ForeignTools | None, screen: Screen) -> None:
        self._tools, self._screen = tools, screen
        self.schemas: list[dict[str, Any]] = []
        """Their part of the `tools` field of a request, always in the same order."""
        self.names: tuple[str, ...] = ()

    async def prepare(self) -> None:
        """Wait for the servers and take their tools into `schemas` and `names`; show in the pane which there are.

        The pane also shows what was left out, and why. Nothing is raised: a server that does not start has no tools.
        Without servers, no effect.
        """
        if self._tools is None:
            return
        listed = await self._tools.listed()
        self.names = tuple(tool.name for tool in listed)
        self.schemas = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in listed
        ]
        if listed:
            self._screen.action("Tools", f"of your MCP servers: {', '.join(self.names)}")
        for problem in self._tools.problems():
            self._screen.problem(problem)

    async def call(self, call: ToolCall) -> tuple[str, bool]:
        """Run a call of one of `names`; return the text of its result, at most 24,000 characters, and if it was usable.

        If the tool fails, the text begins with `Error: `; the call counts as usable all the same. It does not only if
        its arguments are no JSON object, or there are no servers.

        Raises:
            KeyError: There is no such tool.
        """
        fields = parse_json(call.arguments) if call.arguments.strip() else {}
        if not isinstance(fields, dict):
            return f"Error: the arguments of {call.name} must be one JSON object", False
        if self._tools is None:
            return f"Error: there is no tool {call.name!r} here", False
        self._screen.action("Calling", f"{call.name} {json.dumps(fields, ensure_ascii=False)}")
        text, is_error = await self._tools.run(call.name, fields)
        self._screen.output(text)
        if len(text) > _RESULT_CHARS:
            text = f"{text[:_RESULT_CHARS]}\n[... {len(text) - _RESULT_CHARS} characters left out ...]"
        return f"Error: {text}" if is_error else text, True
