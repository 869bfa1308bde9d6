"""`aegis-tui agent`: the built-in agent, driven by an editor over ACP on standard input and output (AGENT-3)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aegis_tui.cli.connect import join
from aegis_tui.errors import UsageError


def _agent(
    acp: Annotated[bool, typer.Option("--acp", help="Speak the Agent Client Protocol on stdin and stdout.")] = False,
    instance: Annotated[str, typer.Option("--instance", help="Its name in the workspace.")] = "editor",
    partition: Annotated[
        list[str] | None,
        typer.Option("--partition", metavar="GLOB", help="Paths that only this agent may write; may be repeated."),
    ] = None,
) -> int:
    """Let an editor drive the built-in agent; the editor starts this command in the folder of the project.

    The agent works in this checkout, not in a worktree of its own, and without a sandbox: it writes only the paths of
    its partition, and the editor asks you before each command that it runs. It commits nothing. If no hub is running,
    one is started and left running. The agent leaves the workspace when the editor closes stdin.

    Exit code 2 without --acp, 3 if the hub refuses the agent, for example because its partition is taken, 5 if the hub
    or the model server cannot be reached.
    """
    if not acp:
        raise UsageError("there is one way to drive the agent from outside", "aegis-tui agent --acp")
    argv = [sys.executable, "-P", "-m", "aegis_tui.agent", "--acp"]
    return join("native", instance, "worker", list(partition or []), argv)


agent_app = typer.Typer(add_completion=False)
agent_app.command()(_agent)
