"""`dashboard`, and `aegis-tui` without a word: the interactive session."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.errors import UsageError

if TYPE_CHECKING:
    from aegis_tui.adapters.tmux.terminal import TmuxTerminal
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.parts import GoalOffer

Theme = Annotated[str | None, typer.Option("--theme", help="Name of a file in themes/.")]
Layout = Annotated[str | None, typer.Option("--layout", help="Name of a file in layouts/.")]
AsJson = Annotated[bool, typer.Option("--json", help="The state as JSON, without a screen.")]


def _dashboard(theme: Theme = None, layout: Layout = None, as_json: AsJson = False) -> int:
    """Watch and drive the agents of this repository."""
    if as_json:
        from aegis_tui.cli.main import run

        return run(["status", "--json"])
    return open_dashboard(here(), theme=theme, layout=layout)


def open_dashboard(
    place: Place, *, theme: str | None = None, layout: str | None = None, offer: GoalOffer | None = None
) -> int:
    """Open the dashboard of a workspace; returns when the person leaves, and what runs goes on.

    Args:
        place: The workspace.
        theme: Name of a theme file; None for the default.
        layout: Name of a layout file; None for the default.
        offer: A goal that is typed in already.

    Raises:
        UsageError: There is no terminal, or no theme or layout of that name.
    """
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("the dashboard needs a terminal", "use aegis-tui status, or run it in one")
    app = build_app(place, theme=theme, layout=layout, offer=offer)
    code = app.run()
    for line in app.farewell():
        output.talk(line)
    return app.return_code or code or 0


def build_app(
    place: Place, *, theme: str | None = None, layout: str | None = None, offer: GoalOffer | None = None
) -> AegisApp:
    """The session over a workspace, ready to run. What git, tmux and HTTP need is imported when it is first used.

    Raises:
        UsageError: There is no such theme or layout.
    """
    from aegis_tui.services.qa_outputs import QaOutputs
    from aegis_tui.tui.app import AegisApp
    from aegis_tui.tui.feed import LiveHub
    from aegis_tui.tui.parts import Parts

    environ = dict(os.environ)

    def open_terminal() -> TmuxTerminal:
        # libtmux asks for the encoding of stdout while it is imported; the one of a running screen has none.
        with contextlib.redirect_stdout(sys.__stdout__):
            from aegis_tui.adapters.tmux.terminal import TmuxTerminal

        return TmuxTerminal(
            f"aegis-{place.paths.key}",
            config_dir=place.paths.state_dir / "tmux",
            environment={**environ, "AEGIS_STATE_DIR": str(place.paths.state_dir)},
        )

    parts = Parts(
        root=place.root,
        branch=_branch(place.root),
        hub=LiveHub(place.paths, place.root),
        settings=place.settings,
        environ=environ,
        open_terminal=open_terminal,
        unsaved=partial(_unsaved, place.root),
        probe=_probe,
        qa_outputs=QaOutputs(place.paths.state_dir / "qa").lines_of,
    )
    chosen = place.settings
    return AegisApp(parts, theme=theme or chosen.theme, layout=layout or chosen.layout, offer=offer)


async def _unsaved(root: Path, worktree: Path, branch: str) -> list[str]:
    from aegis_tui.adapters.git.repository import open_repository

    repository = await open_repository(root)
    head = await repository.resolve(f"refs/heads/{branch}")
    tree = await repository.snapshot_tree(worktree)
    return [change.path for change in await repository.changed_paths(head, tree)] if head else []


async def _probe(base_url: str) -> list[str]:
    from aegis_tui.adapters.llm.key import ModelKey
    from aegis_tui.adapters.llm.probe import probe_endpoint

    return list((await probe_endpoint(base_url, find_key=ModelKey(os.environ).read)).models)


def _branch(root: Path) -> str:
    argv = ["git", "-C", str(root), "rev-parse", "--abbrev-ref", "HEAD"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL, check=False)
    return done.stdout.strip() if done.returncode == 0 else "no commit yet"


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


dashboard_app = _app(_dashboard)
