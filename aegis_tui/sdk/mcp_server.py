"""The MCP server for the tools of an instance. Importing this takes half a second: import it late."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import CallToolResult, InputRequiredResult
from mcp_types import Tool as ListedTool
from starlette.types import ASGIApp

from aegis_tui import __version__
from aegis_tui.errors import AegisError
from aegis_tui.sdk.mcp_lines import Item, sift
from aegis_tui.sdk.tools import NAMES, Tools, tools_of

_INSTRUCTIONS = (
    "You work with others on one repository. get_scope says what you may write. Lock a joint file before you write it, "
    "and release the lock afterwards. Read your messages between steps. Your token identifies you."
)


class MoreTools(Protocol):
    """Tools that are not the hub's own."""

    async def tools(self) -> list[ListedTool]:
        """Return them, by names that differ from those of the hub's tools; it may wait until they are known."""
        ...

    def has(self, name: str) -> bool:
        """Return whether one of them has that name."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """Run one and return its result; a failure is a result with `is_error`. Raises `KeyError` if `has` is false."""
        ...


class AgentServer(MCPServer[Any]):
    """Lists and runs only the tools of the caller's role. The model gets the hub's refusals as text, with the hint."""

    def __init__(
        self,
        tools: Tools,
        role: Callable[[], str],
        more: MoreTools | None = None,
        *,
        on_listed: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the server.

        Args:
            tools: Implements the calls.
            role: Returns the current role of the caller.
            more: Servers of the person's settings, whose tools are offered too; open while this server is.
            on_listed: Called each time the client gets the list of tools.
        """
        super().__init__(
            name="aegis-tui",
            version=__version__,
            instructions=_INSTRUCTIONS,
            log_level="WARNING",
            subscriptions=False,
        )
        self._role, self._more, self._on_listed = role, more, on_listed
        for name in NAMES:
            tool = getattr(tools, name)
            self.add_tool(_telling(tool), name=name, description=_description(tool))

    async def run_stdio_async(self) -> None:
        """Serve on stdin and stdout until stdin ends; a line that is not a message is answered with an error.

        Raises:
            ExceptionGroup: Nobody reads stdout any more; it holds a `BrokenPipeError`.
        """
        async with stdio_server() as (incoming, outgoing), anyio.create_task_group() as group:
            passed, messages = anyio.create_memory_object_stream[Item](0)
            group.start_soon(sift, incoming, passed, outgoing)
            options = self._lowlevel_server.create_initialization_options()
            await self._lowlevel_server.run(messages, outgoing, options)

    async def list_tools(self) -> list[ListedTool]:
        """Return the tools of the caller's role, then those of the person's servers, and call `on_listed`.

        Waits until these servers have started or failed to.
        """
        allowed = tools_of(self._role())
        more = [] if self._more is None else await self._more.tools()
        tools = [*(tool for tool in await super().list_tools() if tool.name in allowed), *more]
        self._on_listed()
        return tools

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool of the caller's role, or of one of the person's servers.

        Raises:
            ToolError: The role has no such tool, its arguments are not valid, or the hub refused.
        """
        if self._more is not None and self._more.has(name):
            return await self._more.call(name, arguments)
        if name not in tools_of(self._role()):
            raise ToolError(f"there is no tool {name} for a {self._role()}")
        return await super().call_tool(name, arguments, context)


def _description(tool: Callable[..., Any]) -> str:
    """Return the docstring of a tool without its section `Raises`: a model is told of a failure when there is one."""
    return (inspect.getdoc(tool) or "").partition("\n\nRaises:")[0]


def _telling(tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(tool)
    async def wrapped(**arguments: Any) -> Any:
        try:
            return await tool(**arguments)
        except AegisError as error:
            raise ToolError(f"{error.code}: {error.message}. {error.hint}".rstrip(". ")) from error

    return wrapped


def http_app(server: AgentServer, *, hosts: list[str], max_body_bytes: int) -> ASGIApp:
    """Return an ASGI app that serves over HTTP without sessions: each request is answered on its own, with JSON.

    `server.session_manager.run()` must be active while it serves. Call this once for a server.

    Args:
        server: Answers the requests.
        hosts: The accepted `Host` headers; a request with an `Origin` header is refused (DNS rebinding).
        max_body_bytes: Requests with a larger body are refused.
    """
    security = TransportSecuritySettings(enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=[])
    server.streamable_http_app(
        stateless_http=True,
        json_response=True,
        max_request_body_size=max_body_bytes,
        transport_security=security,
    )
    return server.session_manager.handle_request
