"""`aegis-tui mentor`: what a run that has ended says about the role prompts (ROLE-11)."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.cli.status import compute_report
from aegis_tui.domain.inert import inert
from aegis_tui.domain.wire.role import MentorOutput
from aegis_tui.errors import Refused

_MOST_FAILURES = 50


def _mentor(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Ask the mentor what went wrong in a run, and which role prompts would have prevented it.

    Its changes of role files are written as a diff to .agents/diffs, for you to read, and to apply if you agree. No
    role file is changed. The model is asked through the gateway of the running hub.

    Exit code 2 if there is no such run, 3 if it is still open, 4 if .agents/diffs is a link, 1 if the model has nothing
    usable, 5 if no hub is running or no model server answers.
    """
    from aegis_tui.application.spec_folder import SpecFolder
    from aegis_tui.bootstrap.mentor import ask_mentor

    place = here()
    hub = place.hub()
    report = compute_report(place, run)
    name = report["run"]
    current = hub.context()["run"]
    if current is not None and current["run"] == name and current["status"] != "COMPLETED":
        raise Refused(f"run {name} has not ended", f"wait for it: aegis-tui wait {name}", code="run.open")
    asked = ask_mentor(place.root, place.paths, dict(report), _failures(place, name), model=place.settings.model)
    proposal, diff = asyncio.run(asked)
    path = SpecFolder(place.root).put_diff(f"{name}-mentor", diff.encode()) if diff else None
    fields: MentorOutput = {
        "run": name,
        "summary": proposal.summary,
        "changes": [{"role": item.role, "reason": item.reason} for item in proposal.changes],
        "path": path,
    }
    lines = [*(inert(line) for line in proposal.summary.splitlines())]
    lines += [f"{inert(item.role)}: {inert(item.reason)}" for item in proposal.changes]
    lines.append(f"read it, then: git apply {path}" if path else "no change of a role prompt is proposed")
    output.result(fields, as_json=as_json, lines=lines)
    return 0


def _failures(place: Place, run: str) -> list[str]:
    from aegis_tui.bootstrap.memory import open_memory

    with open_memory(place.paths) as memory:
        failures = [item for item in memory.last(1000) if item.run == run][:_MOST_FAILURES]
    return [
        f"{item.agent_id}, {item.piece}: {item.error}"
        + (f"; resolved by: {item.resolution}" if item.resolution else "")
        for item in failures
    ]


mentor_app = typer.Typer(add_completion=False)
mentor_app.command()(_mentor)
