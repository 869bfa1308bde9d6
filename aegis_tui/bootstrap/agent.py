"""Connects the built-in agent to its model client, its symbol reader and the person's MCP servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.program import run_agent
from aegis_tui.ports.foreign_tools import ForeignTools
from aegis_tui.sdk.mcp_servers_file import ServersFile


def main() -> int:
    """Run the built-in agent in this process, as its environment says, and return its exit code (contract 3)."""
    return run_agent(lambda url, token: OpenAIChat(url, api_key=token), FileSymbols(), open_servers)


@asynccontextmanager
async def open_servers(servers: ServersFile) -> AsyncIterator[ForeignTools]:
    """Run MCP servers as long as the context is open; what they need is imported only now.

    Args:
        servers: The servers, and the way out of the sandbox.

    Raises:
        OSError: No port is free for the proxy to the way out.
    """
    from aegis_tui.sdk.user_servers import ServerTools, UserServers

    home = Path(os.environ.get("HOME") or Path.home())
    async with UserServers(servers, logs_dir=home, folder=Path.cwd()) as running:
        yield ServerTools(running)
