"""Connects the built-in agent to its model client, its symbol reader and the person's MCP servers."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.llm.openai import OpenAIChat
from aegis_tui.adapters.symbols.reader import FileSymbols
from aegis_tui.agent.program import run_agent
from aegis_tui.ports.foreign_tools import ForeignTools
from aegis_tui.sdk.mcp_servers_file import ServersFile

ACP = "--acp"
"""The argument with which the program speaks ACP on standard input and output, in place of a pane."""


def main() -> int:
    """Run the built-in agent in this process, as its environment says, until it ends; return its exit code.

    With the argument `--acp`, an editor drives it on standard input and output (AGENT-3).

    The code is 0 after a signal or the hub ended it; an error is shown in the pane and gives its own (contract 3).
    At the end, every process that its commands have started is ended: by the sandbox or, without one, by this process.
    """
    _skip_plugins()
    program = run_agent
    if ACP in sys.argv[1:]:
        from aegis_tui.agent.acp.editor_program import run_editor_agent as program
    run = partial(
        program, lambda url, token: OpenAIChat(url, api_key=token), FileSymbols(), SourceReader(), open_servers
    )
    if os.environ.get("AEGIS_SANDBOX", "none") != "none":
        return run()
    from aegis_tui.agent.descendants import adopt_orphans, end_descendants

    adopt_orphans()
    try:
        return run()
    finally:
        end_descendants()


def _skip_plugins() -> None:
    """Let pydantic take no plugins into this process: to look for some, it reads about every installed package (15 ms).

    Its own switch is a variable, which the commands of the agent would inherit.
    """
    with suppress(ImportError):
        from pydantic.plugin import _loader

        vars(_loader).update(_plugins={})


@asynccontextmanager
async def open_servers(servers: ServersFile) -> AsyncIterator[ForeignTools]:
    """Run MCP servers as long as the context is open; their modules are imported only now.

    The servers start in the background. One that fails has no tools, and `problems` of what is yielded says why.

    Args:
        servers: The servers, and the way out of the sandbox.

    Raises:
        OSError: No port is free for the proxy to the way out.
    """
    from aegis_tui.sdk.user_servers import ServerTools, UserServers

    home = Path(os.environ.get("HOME") or Path.home())
    async with UserServers(servers, logs_dir=home, folder=Path.cwd()) as running:
        yield ServerTools(running)
