"""The built-in agent as a program that an editor has started: ACP on standard input and output (AGENT-3)."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.agent.acp.editor_end import EditorEnd
from aegis_tui.agent.acp.editor_screen import EditorScreen
from aegis_tui.agent.acp.editor_session import EditorSession
from aegis_tui.agent.acp.peer import LINE_BYTES
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.program import OpenModel, OpenServers, connect, follow_signals, run_to_exit_code
from aegis_tui.agent.role import load_role
from aegis_tui.agent.screen import Screen
from aegis_tui.agent.session import run_beside
from aegis_tui.agent.settings import AgentSettings, InstanceScope
from aegis_tui.ports.code_map import SourceFacts
from aegis_tui.ports.symbols import SymbolReader
from aegis_tui.sdk.client import EnsembleClient
from aegis_tui.sdk.context import shared_context
from aegis_tui.sdk.mcp_servers_file import load_servers


def run_editor_agent(
    open_model: OpenModel, symbols: SymbolReader, facts: SourceFacts, open_servers: OpenServers
) -> int:
    """Run the built-in agent in this process until the editor closes standard input; return its exit code.

    0 then, and after a signal or the hub ended it; else the error is printed on standard error and gives the code.
    """
    program = partial(_run, open_model=open_model, symbols=symbols, facts=facts, open_servers=open_servers)
    return run_to_exit_code(program, Screen(Pane.of(sys.stderr, os.environ)))


async def _run(
    screen: Screen, *, open_model: OpenModel, symbols: SymbolReader, facts: SourceFacts, open_servers: OpenServers
) -> None:
    """Serve the editor on standard input and output; the editor gets the error, too, if the agent cannot start.

    Raises:
        AegisError: The agent cannot start, or its work failed.
    """
    worktree = Path.cwd().resolve()
    end = EditorEnd(worktree, *await _streams())
    serving = asyncio.create_task(end.run())
    try:
        await _work(
            end, serving, screen, open_model=open_model, symbols=symbols, facts=facts, open_servers=open_servers
        )
    except Exception as error:
        end.fail(error)
        await asyncio.wait({serving}, timeout=_LAST_WORDS_S)
        raise
    finally:
        end.peer.close()
        await serving


async def _work(
    end: EditorEnd,
    serving: asyncio.Task[None],
    screen: Screen,
    *,
    open_model: OpenModel,
    open_servers: OpenServers,
    **parts: Any,
) -> None:
    settings = AgentSettings.from_environment(os.environ, worktree=Path.cwd())
    role = load_role(settings.role)
    model = open_model(settings.base_url, settings.read_token())
    servers = load_servers(settings.token_file)
    try:
        async with (
            open_servers(servers) if servers.servers else nullcontext() as foreign,
            await connect(screen, patience_s=settings.orphan_s) as link,
        ):
            if "AEGIS_SCOPE_FILE" not in os.environ:
                settings = replace(settings, scope=await _scope_of(settings.agent_id, link))
            shown = EditorScreen(settings.worktree, end.update)
            agent = EditorSession(
                settings, role, may_run=end.may_run, screen=shown, link=link, model=model, foreign=foreign, **parts
            )
            follow_signals(agent)
            end.attach(agent)
            await run_beside(agent.run(), _stop_after(serving, agent))
    finally:
        await model.close()


async def _stop_after(serving: asyncio.Task[None], agent: EditorSession) -> None:
    await asyncio.wait({serving})
    agent.stop("the editor has closed the connection")


async def _scope_of(agent_id: str, link: EnsembleClient) -> InstanceScope:
    """Return what an agent that a person connected may write, as the hub has it.

    Raises:
        AegisError: The hub refused or does not answer.
    """
    context = await shared_context(link.command)
    partitions = context["partitions"]
    return InstanceScope(
        partition=tuple(partitions.get(agent_id, ())),
        shared=tuple(context["shared"]),
        joint=tuple(context["joint"]),
        owners={glob: owner for owner, globs in partitions.items() if owner != agent_id for glob in globs},
    )


async def _streams() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return standard input and output as streams; standard output is then for the protocol alone."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=LINE_BYTES)
    given = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    taken = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), given)
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop=loop), taken)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


_LAST_WORDS_S = 3.0
"""How long an editor may take to ask for a session after the agent could not start, to be told why."""
