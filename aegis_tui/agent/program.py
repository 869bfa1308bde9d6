"""The built-in agent as a program: it runs in a pane and a worktree, and reads keys and signals (AGENT-1)."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.agent.keyboard import keyboard_lines
from aegis_tui.agent.last_words import error_words
from aegis_tui.agent.life import InstanceLife
from aegis_tui.agent.name_server import NameServer, open_name_server
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.role import load_role
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import AgentSession, feed_keyboard, run_beside
from aegis_tui.agent.settings import AgentSettings
from aegis_tui.errors import AegisError, HubUnavailable
from aegis_tui.ports.code_map import SourceFacts
from aegis_tui.ports.foreign_tools import ForeignTools
from aegis_tui.ports.llm import ChatModel
from aegis_tui.ports.symbols import SymbolReader
from aegis_tui.sdk.backoff import Backoff
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.egress import EgressRelay, find_egress
from aegis_tui.sdk.mcp_servers_file import ServersFile, load_servers

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
OpenModel = Callable[[str, str], ChatModel]
"""Takes the gateway's base URL and the instance's token; returns a client of the model server behind it."""

OpenServers = Callable[[ServersFile], AbstractAsyncContextManager[ForeignTools]]
"""Runs MCP servers as long as the context is open."""


async def run(
    screen: Screen,
    open_model: OpenModel,
    symbols: SymbolReader,
    facts: SourceFacts,
    *,
    names: NameServer | None,
    open_servers: OpenServers,
) -> None:
    """Run the instance that the environment describes until a signal or the hub ends it.

    Args:
        screen: Shows in the pane what happens.
        open_model: Opens the client of the model server.
        symbols: Reads the functions and classes of source files.
        facts: Reads their definitions, imports and calls.
        names: The name server of the sandbox, if it has one.
        open_servers: Runs the MCP servers of the person's settings.

    Raises:
        AegisError: It cannot start, or its work failed.
    """
    settings = AgentSettings.from_environment(os.environ, worktree=Path.cwd())
    theirs = os.environ.get("AEGIS_ROLES")
    role = load_role(settings.role, folders=[Path(theirs)] if theirs else [])
    token = settings.read_token()
    model, egress = open_model(settings.base_url, token), find_egress(os.environ, token)
    try:
        servers = load_servers(settings.token_file)
        async with (
            egress or nullcontext(),
            open_servers(servers) if servers.servers else nullcontext() as foreign,
            await connect(screen, patience_s=settings.orphan_s) as link,
        ):
            settings = settings.with_egress(egress)
            session = AgentSession(
                settings, role, link=link, model=model, symbols=symbols, facts=facts, screen=screen, foreign=foreign
            )
            follow_signals(session)
            async with (
                follow_refusals(session, names, egress),
                keyboard_lines(sys.stdin.fileno(), echo=screen.typed, write=screen.control) as lines,
            ):
                await run_beside(session.run(), feed_keyboard(session, lines))
    finally:
        await model.close()


async def connect(screen: Screen, *, patience_s: float) -> EnsembleClient:
    """Return a connection to the hub; wait up to `patience_s` seconds for a hub that does not answer.

    Raises:
        HubUnavailable: It did not answer in that time.
        UsageError: The environment names no hub, or the token file cannot be read.
        AegisError: It refused the connection.
    """
    link, backoff, is_reported = EnsembleClient.from_environment(), Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), False
    end = time.monotonic() + patience_s
    while True:
        try:
            return await link.connect()
        except HubUnavailable as error:
            if error.code != HubUnavailable.code or time.monotonic() >= end:
                raise
            if not is_reported:
                screen.problem("the hub does not answer; waiting for it")
                is_reported = True
        await asyncio.sleep(backoff.next_s())


@asynccontextmanager
async def follow_refusals(
    session: InstanceLife, names: NameServer | None, egress: EgressRelay | None
) -> AsyncIterator[None]:
    """Let the session show and report what the boundary refuses, as long as the context is open.

    Args:
        session: The instance.
        names: The name server of its sandbox, if it has one; it answers as long as the context is open.
        egress: The open way out to listed addresses, if it has one.
    """
    if egress is not None:
        egress.on_refused = session.progress.name_blocked
    async with names.serve(session.progress.name_blocked) if names else nullcontext():
        yield


def follow_signals(session: InstanceLife) -> None:
    """Let SIGINT (Ctrl-C) interrupt the current task, and SIGTERM and SIGHUP end the instance; needs a running loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, session.interrupt)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, session.stop, number.name)


def run_agent(open_model: OpenModel, symbols: SymbolReader, facts: SourceFacts, open_servers: OpenServers) -> int:
    """Run the built-in agent in this process, as its environment describes, until it ends; return its exit code.

    0 after a signal or the hub ended it; else the error is shown in the pane and gives the code (`run_to_exit_code`).
    """
    screen = Screen(Pane.of(sys.stdout, os.environ))
    names = open_name_server(os.environ)
    program = partial(run, open_model=open_model, symbols=symbols, facts=facts, names=names, open_servers=open_servers)
    return run_to_exit_code(program, screen)


def run_to_exit_code(program: Callable[[Screen], Coroutine[Any, Any, None]], screen: Screen) -> int:
    """Run an agent's program to its end and return its exit code (contract 3); blocking. 0 if it ends without an error.

    An error that ends it is shown on the screen and gives the code: that of an AegisError, 130 for Ctrl-C, 1 for any
    other.

    Args:
        program: Takes the screen; runs the agent.
        screen: The agent's screen.
    """
    gc.freeze()  # what was imported stays until the end
    gc.enable()  # `__main__` disables it for the imports
    try:
        asyncio.run(program(screen))
    except AegisError as error:
        screen.problem(f"{error}. {error.hint}" if error.hint else str(error))
        return error.exit_code
    except KeyboardInterrupt:  # only while it waits for the hub; later the session handles Ctrl-C
        screen.problem("interrupted")
        return 130
    except Exception as error:  # the pane shows the reason; the session has reported it to the hub
        logging.getLogger(__name__).exception("the agent failed")
        screen.problem(error_words(error))
        return 1
    return 0
