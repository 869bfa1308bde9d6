"""`aegis-tui memory`: the failures of earlier runs and what resolved them (MEM-2). No hub is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, cast

import typer

from aegis_tui.bootstrap.memory import open_memory
from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.count import counted
from aegis_tui.domain.memory.model import Failure
from aegis_tui.domain.wire.memory import (
    ByAgentOutput,
    FailureForgottenOutput,
    FailureRow,
    FailuresOutput,
    SimilarOutput,
)
from aegis_tui.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Look up which attempts of agents failed in this repository, and what resolved them.\n\nA new instance is "
    "told of the failures that resemble its task, in at most five lines. Passwords, keys and tokens are removed before "
    "anything is stored.",
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Count = Annotated[int, typer.Option("--count", min=1, max=1000, help="Maximum number of failures to print.")]


@app.command()
def last(count: Count = 10, as_json: AsJson = False) -> int:
    """Print the newest failures. Exit code 0 also if there are none, 5 outside a repository."""
    with open_memory(here().paths) as memory:
        failures = memory.last(count)
    fields: FailuresOutput = {"failures": [_row(item) for item in failures]}
    output.result(fields, as_json=as_json, lines=_lines(failures))
    return 0


@app.command()
def similar(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A task or an error, in words.")],
    count: Count = 5,
    as_json: AsJson = False,
) -> int:
    """Print the failures that resemble a text, the most similar first.

    Exit code 0 also if there are none, 5 outside a repository.
    """
    with open_memory(here().paths) as memory:
        recalled = memory.similar(text, count)
    fields: SimilarOutput = {"failures": [{**_row(item.failure), "score": item.score} for item in recalled]}
    output.result(fields, as_json=as_json, lines=_lines([item.failure for item in recalled]))
    return 0


@app.command("by-agent")
def by_agent(as_json: AsJson = False) -> int:
    """Print how often the agents of each kind failed, by model. Exit code 5 outside a repository."""
    with open_memory(here().paths) as memory:
        counts = memory.by_agent()
    fields: ByAgentOutput = {
        "agents": [
            {"kind": item.kind, "model": item.model, "failures": item.failures, "resolved": item.resolved}
            for item in counts
        ]
    }
    rows = [
        [item.kind, item.model or "(unknown model)", counted(item.failures, "failure"), f"{item.resolved} resolved"]
        for item in counts
    ]
    output.result(fields, as_json=as_json, lines=output.table(rows) or ["no failures are stored"])
    return 0


@app.command()
def forget(
    failure: Annotated[str, typer.Argument(metavar="ID", help="The id of the failure, from aegis-tui memory last.")],
    as_json: AsJson = False,
) -> int:
    """Delete a stored failure permanently. Exit code 2 if there is none with that id, 5 outside a repository."""
    with open_memory(here().paths) as memory:
        if not memory.forget(failure):
            raise UsageError(f"there is no failure {failure}", "aegis-tui memory last lists them")
    fields: FailureForgottenOutput = {"forgotten": failure}
    output.result(fields, as_json=as_json, lines=[f"{failure} is forgotten"])
    return 0


def _row(failure: Failure) -> FailureRow:
    return cast("FailureRow", {**asdict(failure), "files": list(failure.files)})


def _lines(failures: Sequence[Failure]) -> list[str]:
    lines = []
    for item in failures:
        lines.append(f"{item.id}  {item.at}  {item.agent_id}  {item.piece}: {output.short(item.error, 160)}")
        ending = f"resolved by {item.resolved_by}: {item.resolution}" if item.resolution else "not resolved"
        lines.append(f"    {output.short(ending, 160)}")
    return lines or ["no failures are stored"]
