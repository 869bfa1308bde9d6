"""`aegis-tui dashboard`: opens the dashboard, with flags."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aegis_tui.cli.place import here
from aegis_tui.cli.session import Look, open_dashboard

BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Model server for runs that you start here, with or without /v1."),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Model name, as the server lists it.")]
Theme = Annotated[
    str | None, typer.Option("--theme", metavar="NAME", help="Theme, such as light or high-contrast-dark.")
]
Layout = Annotated[str | None, typer.Option("--layout", metavar="NAME", help="Layout, such as focus or grid.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the state as JSON instead of opening a screen.")]


def _dashboard(
    base_url: BaseUrl = None, model: Model = None, theme: Theme = None, layout: Layout = None, as_json: AsJson = False
) -> int:
    """Watch and direct the agents of this repository.

    The hub and the agents continue when the dashboard is closed. Exit code 2 without a terminal, or if a setting, the
    theme or the layout is wrong; 5 outside a repository. --json prints the same as `aegis-tui status --json`, with the
    same exit codes. It ignores the other options and starts no hub.
    """
    if as_json:
        from aegis_tui.cli.main import run

        return run(["status", "--json"])
    return open_dashboard(here(), Look(base_url=base_url, model=model, theme=theme, layout=layout))


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


dashboard_app = _app(_dashboard)
