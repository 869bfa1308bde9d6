"""`aegis-tui mcp`: an MCP server on stdin and stdout, for agents that start their MCP servers themselves (HUB-7)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from aegis_tui.cli.client import address_of, read_token, token_file_of
from aegis_tui.cli.place import here
from aegis_tui.errors import Refused, UsageError
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.connection import Endpoint
from aegis_tui.sdk.locate import of_instance
from aegis_tui.sdk.mcp_server import AgentServer, MoreTools
from aegis_tui.sdk.mcp_servers_file import ServersFile, load_servers
from aegis_tui.sdk.notice_box import NoticeBox
from aegis_tui.sdk.tools import Tools

BEAT_S = 5.0


def _mcp(
    instance: Annotated[
        str | None, typer.Option("--instance", help="Act as this instance, one that you connected.")
    ] = None,
) -> int:
    """Serve the tools of an instance over MCP, on stdin and stdout.

    The instance is that of the pane in which this runs, or one that you connected (--instance). The server ends with
    exit code 0 when stdin ends; Ctrl-C and SIGTERM end it too. Exit code 2 if no instance is named or its token cannot
    be read, 3 if the hub does not accept the token, 5 if no hub is running: none is started.
    """
    asyncio.run(serve(_own_client(instance), _own_servers(os.environ) if instance is None else ServersFile()))
    return 0


def _own_client(instance: str | None) -> EnsembleClient:
    """Return a client that acts as `instance`; for None, as the instance of this pane. It never acts as the person.

    It is not connected yet. For the instance of this pane, only its token file is read before it connects.

    Raises:
        HubUnavailable: No hub is running, or it does not answer.
        GitUnavailable: The current folder is not in a checkout.
        UsageError: No instance is named, its id is not valid, or its token cannot be read.
    """
    if instance is None and os.environ.get("AEGIS_HUB"):
        return EnsembleClient(locate=of_instance(os.environ), beat_s=BEAT_S)
    place = here()
    token_file = token_file_of(place, instance)
    if token_file is None:
        raise UsageError("no instance is named", "name one that you connected: --instance ID")
    token = read_token(token_file)
    address_of(place)

    async def locate() -> Endpoint:
        return Endpoint(f"unix:{(await asyncio.to_thread(address_of, place)).socket}", token)

    return EnsembleClient(locate=locate, beat_s=BEAT_S)


def _own_servers(environ: Mapping[str, str]) -> ServersFile:
    """Return the MCP servers of the person's settings that the instance of this pane gets; none outside a pane.

    Args:
        environ: The environment, which names the instance's token file; the list of servers is beside it.

    Raises:
        UsageError: Their file is not valid.
    """
    token_file = environ.get("AEGIS_TOKEN_FILE")
    return load_servers(Path(token_file)) if token_file and environ.get("AEGIS_HUB") else ServersFile()


async def serve(client: EnsembleClient, servers: ServersFile) -> None:
    """Serve MCP on stdin and stdout until stdin ends; heartbeats keep the instance alive meanwhile.

    SIGINT and SIGTERM close the client and then end this process.

    Args:
        client: Acts as the instance; it is not connected yet.
        servers: Further servers, whose tools are offered too.

    Raises:
        HubUnavailable: No hub answers.
        Refused: The hub does not know the token, or it is not the token of an instance.
    """
    _end_with_a_signal(client)
    async with client:
        context = await client.get_shared_context()
        roles = {item["agent_id"]: item["role"] for item in context["instances"]}
        if client.agent_id not in roles:
            raise Refused(
                "MCP needs the token of an instance",
                "join first: aegis-tui connect --agent KIND --instance ID",
                code="instance.only",
            )
        box = NoticeBox.of(os.environ)
        tools, role = Tools(client.command, lambda: client.agent_id, box=box), str(roles[client.agent_id])
        on_listed = box.mark_tools_listed if box else lambda: None
        async with _open(servers) as more:
            await AgentServer(tools, lambda: role, more, on_listed=on_listed).run_stdio_async()


@asynccontextmanager
async def _open(servers: ServersFile) -> AsyncIterator[MoreTools | None]:
    """Run the person's servers while the context is open; None if there are none, and then nothing is imported."""
    if not servers.servers:
        yield None
        return
    from aegis_tui.sdk.user_servers import UserServers

    home = Path(os.environ.get("HOME") or Path.home())
    async with UserServers(servers, logs_dir=home, folder=Path.cwd()) as more:
        yield more


def _end_with_a_signal(client: EnsembleClient) -> None:
    """Let SIGINT and SIGTERM close the client, which withdraws requests that wait, and then end this process.

    Installs the handlers in the running event loop and returns at once. On a signal a normal end is not possible,
    because the thread that reads stdin cannot be woken.
    """
    loop = asyncio.get_running_loop()

    async def end(number: signal.Signals) -> None:
        await client.close()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    ending: list[asyncio.Task[None]] = []

    def begin(number: signal.Signals) -> None:
        ending.append(loop.create_task(end(number)))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, begin, number)


mcp_app = typer.Typer(add_completion=False)
mcp_app.command()(_mcp)
