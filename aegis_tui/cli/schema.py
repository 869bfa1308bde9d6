"""`aegis-tui schema`: prints the contract with other programs, generated from the models (HUB-3)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from aegis_tui.cli import output
from aegis_tui.errors import UsageError


def _schema(
    which: Annotated[
        Literal["openapi", "asyncapi", "commands"],
        typer.Argument(
            help="openapi for REST, asyncapi for the WebSocket, commands for what commands print with --json."
        ),
    ],
    into: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of stdout.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="No effect: the output is always JSON.")] = True,
) -> int:
    """Print the hub's interface as OpenAPI or AsyncAPI, or what commands print with --json as JSON Schema.

    An existing file is replaced. Exit code 2 if the file cannot be written. No hub is needed or started.
    """
    from aegis_tui.bootstrap.contract import contract_text

    text = contract_text(which)
    if into is None:
        output.data(text.rstrip("\n"))
        return 0
    try:
        into.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {into}: {error.strerror}", "name a file in a folder that exists") from error
    output.talk(f"wrote {into}")
    return 0


schema_app = typer.Typer(add_completion=False)
schema_app.command()(_schema)
