"""The MCP servers of the person's settings, as one instance uses them. Importing this takes half a second (AGENT-7).

Their tools are offered under the name `SERVER__TOOL`. A server that does not start is left out, and the rest works.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent
from mcp_types import Tool as ListedTool

from aegis_tui.ports.foreign_tools import ForeignTool
from aegis_tui.sdk.egress import EgressRelay
from aegis_tui.sdk.mcp_servers_file import ServersFile, ServerStart

_log = logging.getLogger(__name__)

START_S = 15.0
"""How long a server may take until its tools are known, in seconds."""

CALL_S = 300.0
"""How long one call may take, in seconds."""

_MOST_TOOLS = 64
_MOST_NAME_CHARS = 48
"""With the prefix that programs add, a name must not be longer than the 64 characters that model servers accept."""

_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


class UserServers:
    """Runs the servers while the context is open, each on its own; they start at once and in the background.

    Args:
        servers: The servers, and the way out of the sandbox.
        logs_dir: Receives a file for each command with what it writes to stderr.
        folder: Where the commands run.
    """

    def __init__(self, servers: ServersFile, *, logs_dir: Path, folder: Path) -> None:
        self._servers, self._logs_dir, self._folder = servers, logs_dir, folder
        self._stack = AsyncExitStack()
        self._relay: EgressRelay | None = None
        self._running: list[asyncio.Task[None]] = []
        self._known: dict[str, asyncio.Event] = {item.name: asyncio.Event() for item in servers.servers}
        self._closing = asyncio.Event()
        self._tools: dict[str, tuple[Client, ListedTool]] = {}
        self.problems: list[str] = []
        """Why a server or a tool is left out, in sentences."""

    async def __aenter__(self) -> Self:
        """Start all servers in the background and return at once; `tools` waits for them.

        Raises:
            OSError: No port is free for the proxy to the way out.
        """
        if self._servers.egress is not None and self._servers.servers:
            self._relay = await self._stack.enter_async_context(EgressRelay(self._servers.egress, self._servers.token))
        self._running = [asyncio.create_task(self._run(item)) for item in self._servers.servers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._stack.aclose()

    async def tools(self) -> list[ListedTool]:
        """Wait until each server has started or failed, 15 s at most.

        Return the tools of those that started, sorted by name. Their names are `SERVER__TOOL`. At most 64 tools are
        known; `problems` says what was left out. Raises nothing.
        """
        for event in self._known.values():
            await event.wait()
        return [tool.model_copy(update={"name": name}) for name, (_, tool) in sorted(self._tools.items())]

    def has(self, name: str) -> bool:
        """Return whether a tool of that name is known: False while its server still starts, True from then on.

        It stays True if the server ends.
        """
        return name in self._tools

    async def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """Run a tool and return its result; what goes wrong is a result that says so.

        Args:
            name: A name that `tools` returned.
            arguments: As its schema asks.

        Raises:
            KeyError: There is no such tool.
        """
        client, tool = self._tools[name]
        try:
            return await client.call_tool(tool.name, arguments, CALL_S)
        except Exception as error:  # whatever a foreign server causes is the result of this call
            _log.warning("a call of an MCP server failed", extra={"tool": name, "reason": str(error)})
            words = f"{name} failed: {_words(error)}"
            return CallToolResult(content=[TextContent(type="text", text=words)], is_error=True)

    async def _run(self, start: ServerStart) -> None:
        """Start one server, offer its tools, and keep the connection until the context is closed. Raises nothing.

        If its tools are not known within 15 s, or it fails, none of them is offered, and `problems` gets the reason. A
        server that ends later is not noticed here: its tools stay known, and calls of them fail.
        """
        try:
            async with asyncio.timeout(START_S) as deadline, self._connect(start) as client:
                await self._offer(start.name, client)
                deadline.reschedule(None)
                self._known[start.name].set()
                await self._closing.wait()
        except Exception as error:  # a foreign server must not end the instance
            self._forget(start.name)
            is_late = isinstance(error, TimeoutError) and not self._known[start.name].is_set()
            reason = f"no answer within {START_S:g} s" if is_late else _words(error)
            log = self._log_of(start)
            if start.command and log.exists() and log.stat().st_size:
                reason += f"; what it wrote is in {log}"
            self.problems.append(f"the MCP server {start.name} is left out: {reason}")
            _log.warning("an MCP server is left out", extra={"server": start.name, "reason": reason})
        finally:
            self._known[start.name].set()

    @asynccontextmanager
    async def _connect(self, start: ServerStart) -> AsyncIterator[Client]:
        """Open a client of the server while the context is open. Raises whatever the connection raises."""
        async with AsyncExitStack() as stack:
            if start.url:
                proxy = self._relay.url if self._relay is not None and start.url.startswith("https:") else None
                http = httpx2.AsyncClient(
                    headers=dict(start.headers), proxy=proxy, trust_env=self._relay is None, timeout=CALL_S
                )
                transport = streamable_http_client(start.url, http_client=await stack.enter_async_context(http))
            else:
                environment = {**(self._relay.environment if self._relay else {}), **start.environment}
                program, *arguments = start.command
                parameters = StdioServerParameters(
                    command=program, args=arguments, env=environment, cwd=str(self._folder)
                )
                log = self._log_of(start).open("a", encoding="utf-8", errors="replace")
                transport = stdio_client(parameters, stack.enter_context(log))
            yield await stack.enter_async_context(Client(transport))

    def _log_of(self, start: ServerStart) -> Path:
        """Return the file that gets what a command writes to stderr; it may not exist."""
        return self._logs_dir / f"mcp-{start.name}.log"

    async def _offer(self, server: str, client: Client) -> None:
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                self._add(f"{server}__{_NO_NAME.sub('_', tool.name)}"[:_MOST_NAME_CHARS], client, tool)
            cursor = page.next_cursor
            if not cursor:
                return

    def _add(self, name: str, client: Client, tool: ListedTool) -> None:
        if name in self._tools or len(self._tools) >= _MOST_TOOLS:
            reason = (
                "has the same name as another" if name in self._tools else f"exceeds the limit of {_MOST_TOOLS} tools"
            )
            self.problems.append(f"the tool {name} is left out: it {reason}")
            return
        self._tools[name] = client, tool.model_copy(update={"output_schema": None})

    def _forget(self, server: str) -> None:
        for name in [name for name in self._tools if name.startswith(f"{server}__")]:
            with suppress(KeyError):
                del self._tools[name]


class ServerTools:
    """Implements the port `ForeignTools` with running servers."""

    def __init__(self, servers: UserServers) -> None:
        self._servers = servers

    async def listed(self) -> list[ForeignTool]:
        """Wait until each server has started or failed, 15 s at most.

        Return the tools of those that started, sorted by name.
        """
        return [
            ForeignTool(tool.name, tool.description or "", tool.input_schema) for tool in await self._servers.tools()
        ]

    def problems(self) -> list[str]:
        """Return why a server or a tool was left out, in sentences; complete once `listed` has returned."""
        return list(self._servers.problems)

    async def run(self, name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        """Run a listed tool; return the text of its result, and whether that is an error.

        What goes wrong, also no answer in 300 s, is such an error. Parts that are no text are shown as `[image]`.

        Raises:
            KeyError: There is no such tool.
        """
        result = await self._servers.call(name, arguments)
        parts = [item.text if isinstance(item, TextContent) else f"[{item.type}]" for item in result.content]
        return "\n".join(parts), result.is_error


def _words(error: BaseException) -> str:
    """Return the first line of an error's message, or its class's name if it has none.

    Of a group of errors, that of the first one.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{error}".strip().partition("\n")[0] or type(error).__name__
