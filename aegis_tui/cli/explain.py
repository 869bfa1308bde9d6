"""`aegis-tui explain`: the state of an instance, where it is known from, and the evidence (contract 9, TUI-5)."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import here
from aegis_tui.domain.event import Event
from aegis_tui.domain.instance.belief import believe, of_hub
from aegis_tui.domain.wire.explain import EvidenceFields, ExplainOutput
from aegis_tui.domain.words import sentence
from aegis_tui.errors import UsageError
from aegis_tui.sdk.discovery import find_hub

LOOKED_AT = 5_000
"""How many of the log's newest events are looked at."""
LEAST_WIDTH = 40

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The instance: w01, or in full NATIVE-w01.")]


def _explain(name: Id, as_json: AsJson = False) -> int:
    """Show the state of an instance, the source of this state, and the newest events about it.

    The sources are the hub, and the process, the title and the screen of its pane. If they say nothing or contradict
    each other, the state is `unknown`. No hub is needed or started. Exit code 2 if there is no such instance or no log,
    1 if the log is damaged.
    """
    from aegis_tui.bootstrap.log import log_reader
    from aegis_tui.bootstrap.sources import read_sources
    from aegis_tui.tui.views.explain import evidence, explain_instance

    place = here()
    reader = log_reader(place.paths)
    workspace = reader.workspace()
    item = workspace.instances.find(name)
    if item is None:
        raise UsageError(f"there is no instance {name}", "list them: aegis-tui status")
    recent = reader.events(after=max(0, workspace.seq - LOOKED_AT))
    events = evidence(recent, item)
    readings = [of_hub(answers=find_hub(place.paths) is not None)] if item.is_alive else []
    readings += read_sources(place.paths, item)
    belief = believe(item, readings)
    fields: ExplainOutput = {
        "agent_id": item.agent_id,
        "state": belief.state,
        "source": belief.source,
        "because": belief.because,
        "since": belief.since,
        "sources": [{"source": reading.source, "state": reading.state, "words": reading.words} for reading in readings],
        "phase": str(item.phase),
        "note": item.note,
        "last_seen": item.last_seen,
        "evidence": [_brief(event) for event in events],
    }
    width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
    lines = explain_instance(workspace, item, events, now=datetime.now(UTC), width=width, readings=readings)
    plain = ["".join(span.text for span in line).rstrip() for line in lines]
    output.result(fields, as_json=as_json, lines=[f"{item.instance_id}  {plain[0]}", *plain[1:]])
    return 0


def _brief(event: Event) -> EvidenceFields:
    return {"seq": event.seq, "timestamp": event.timestamp, "type": event.type, "words": sentence(event)}


explain_app = typer.Typer(add_completion=False)
explain_app.command()(_explain)
