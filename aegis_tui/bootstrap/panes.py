"""Gives commands access to the panes of a workspace, and to what they showed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from aegis_tui.adapters.gateway_process import GatewayProcess
from aegis_tui.adapters.tmux.terminal import TmuxTerminal
from aegis_tui.domain.ids import instance_id
from aegis_tui.errors import TerminalUnavailable, UsageError
from aegis_tui.orchestrator.last_screen import LastScreens, plain_lines
from aegis_tui.sdk.discovery import WorkspacePaths

_INSTANCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an instance's pane showed, without colours, and whether its program has ended."""

    instance_id: str
    lines: tuple[str, ...]
    has_ended: bool


def terminal_of(paths: WorkspacePaths, environ: Mapping[str, str]) -> TmuxTerminal:
    """Return the panes of a workspace, on its private tmux server, which may run or not; nothing is started.

    Args:
        paths: The workspace's folders.
        environ: The environment; the few variables that panes may see are taken from it.
    """
    environment = {**environ, "AEGIS_STATE_DIR": str(paths.state_dir)}
    return TmuxTerminal(f"aegis-{paths.key}", config_dir=paths.state_dir / "tmux", environment=environment)


def read_transcript(paths: WorkspacePaths, name: str) -> Transcript:
    """Return what an instance shows in its pane, or what was saved when it ended. Starts an event loop of its own.

    What was saved counts first. A tmux that does not answer is taken for a pane without text.

    Args:
        paths: The workspace's folders.
        name: The instance's id, in short (`w01`) or in full (`NATIVE-w01`).

    Raises:
        UsageError: Nothing was saved of such an instance, it has shown nothing, or the name is not valid.
    """
    short = instance_id(name)
    if _INSTANCE_NAME.fullmatch(short) is None:
        raise UsageError(
            f"{name} is not the name of an instance",
            "use a name such as w01; aegis-tui report lists the instances of a run",
        )
    try:
        return Transcript(
            short, tuple((paths.state_dir / "logs" / f"{short}.log").read_text("utf-8").splitlines()), True
        )
    except OSError:
        lines = asyncio.run(_lines_now(paths, short))
    if not lines:
        raise UsageError(f"no transcript of {short} is kept", "aegis-tui report lists the instances of a run")
    return Transcript(short, tuple(lines), False)


async def _lines_now(paths: WorkspacePaths, instance: str) -> list[str]:
    terminal = terminal_of(paths, os.environ)
    lines = "\n".join(plain_lines(await LastScreens(terminal, paths.state_dir / "logs").lines(instance)))
    return lines.strip("\n").splitlines()


def attach_argv(paths: WorkspacePaths, instance: str, *, read_only: bool, environ: Mapping[str, str]) -> list[str]:
    """Return the command that attaches a terminal to an instance's pane, from outside or inside another tmux.

    Whether the pane exists is not checked. Blocks, as it may run `infocmp`; see `Terminal.attach_argv`.

    Args:
        paths: The workspace's folders.
        instance: The instance's id in short, `w01`.
        read_only: The person's keys do not reach the program.
        environ: The environment that the command will run in.

    Raises:
        TerminalUnavailable: There is no tmux.
        UsageError: The id is not valid.
    """
    terminal = terminal_of(paths, environ)
    return terminal.attach_argv(instance, read_only=read_only, environ=environ)


async def close_workspace(paths: WorkspacePaths, environ: Mapping[str, str]) -> None:
    """End the gateway, every pane and the tmux server of a workspace whose hub has ended, before it is removed.

    No effect for what does not run.

    Raises:
        TerminalUnavailable: There is no tmux.
        TerminalError: tmux does not answer or does not end.
    """
    await GatewayProcess(paths, paths.runtime_dir / "agents", lambda url, socket: None).close()
    terminal = terminal_of(paths, environ)
    await terminal.stop_server()


async def close_idle_workspace(paths: WorkspacePaths, environ: Mapping[str, str]) -> bool:
    """End the gateway and the tmux server of a workspace whose hub has ended, and return True.

    If a program still runs in one of its panes, nothing is ended, and the result is False.

    Raises:
        TerminalUnavailable: There is no tmux.
        TerminalError: tmux does not answer or does not end.
    """
    terminal = terminal_of(paths, environ)
    if terminal.socket_path.exists():
        with contextlib.suppress(TerminalUnavailable):
            if any(not pane.dead for pane in await terminal.list_panes()):
                return False
        await terminal.stop_server()
    await GatewayProcess(paths, paths.runtime_dir / "agents", lambda url, socket: None).close()
    return True
