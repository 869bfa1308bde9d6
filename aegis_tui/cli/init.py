"""`aegis-tui init`: sets a repository up, or undoes that (contract 9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here

if TYPE_CHECKING:
    from aegis_tui.domain.wire.machine import InitOutput


def _init(
    undo: Annotated[bool, typer.Option("--undo", help="Restore what was there before init.")] = False,
    agent_docs: Annotated[
        bool,
        typer.Option("--agent-docs", help="Also add a section for other agents to AGENTS.md, CLAUDE.md and others."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Write settings, roles, rules and spec templates to .agents, or undo that.

    Existing files are not changed, with two exceptions: the paths to which runs write in the checkout are added to
    .git/info/exclude, and with --agent-docs a section is added to AGENTS.md, CLAUDE.md, GEMINI.md and
    .agent/rules/aegis-tui.md, which are created if they are missing; symbolic links among them are kept as they are.
    The command prints what it has written, removed and kept.

    --undo keeps files that were changed since; from these it removes only the sections and lines that init has added.
    --undo --agent-docs undoes only what --agent-docs has added. No hub is started.

    Exit code 5 outside a repository, 3 if a path leads out of the checkout, 2 if there is nothing to undo or the record
    of an earlier init cannot be read.
    """
    from aegis_tui.bootstrap.checkout import make_setup

    setup = asyncio.run(make_setup(here().root))
    change = setup.undo(only_agent_docs=agent_docs) if undo else setup.write(agent_docs=agent_docs)
    fields: InitOutput = {
        "written": list(change.written),
        "removed": list(change.removed),
        "kept": list(change.kept),
    }
    done = (("written", change.written), ("removed", change.removed), ("kept", change.kept))
    lines = [f"{word} {path}" for word, paths in done for path in paths] or ["nothing to do"]
    output.result(fields, as_json=as_json, lines=lines)
    return 0


init_app = typer.Typer(add_completion=False)
init_app.command()(_init)
