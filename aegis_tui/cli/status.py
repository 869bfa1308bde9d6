"""`status` and `report`: what is, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.errors import UsageError

PAGE = 1000
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def _status(as_json: AsJson = False) -> int:
    """Stage, instances, locks and partitions now."""
    state = here().hub().state()
    run = state["run"] or {}
    living = [item for item in state["instances"] if item["phase"] != "reclaimed"]
    fields = {
        "run": run.get("run"),
        "stage": run.get("stage"),
        "gates": run.get("gates", []),
        "instances": living,
        "locks": [{"path": name, **lock} for name, lock in state["locks"].items()],
        "partitions": [{"agent_id": name, "globs": globs} for name, globs in state["partitions"].items()],
        "progress": state["progress"],
    }
    output.result(fields, as_json=as_json, lines=_lines(state, living))
    return 0


def _lines(state: dict[str, Any], living: list[dict[str, Any]]) -> Iterator[str]:
    run = state["run"]
    if run is None:
        yield "no run yet; start one: aegis-tui run GOAL"
    else:
        yield from _run_lines(run, state["progress"])
    rows = [[i["agent_id"], i["role"], i["piece"] or "", i["word"], f"{i['progress']:.0%}"] for i in living]
    yield from output.table(rows)
    for name, lock in state["locks"].items():
        yield f"lock {name} {lock['lock_type']} {lock['agent_id']} {lock['expires_in_s']:.0f} s"


def _run_lines(run: dict[str, Any], done: dict[str, Any]) -> Iterator[str]:
    yield f"{run['run']}: {run['goal']}"
    yield f"{run['stage']}, {done['completed']} of {done['total']} pieces composed"
    for gate in run["gates"]:
        if not gate["passed"]:
            yield f"  waits: {gate['name']}: {gate['reason']}"


def _report(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="The run; the newest when left out.")] = None,
    as_json: AsJson = False,
) -> int:
    """The report of a run, folded from the log and git."""
    place = here()
    fields = compute_report(place, run)
    lines = output.json_text(fields, indent=2).splitlines()
    output.result({**fields}, as_json=as_json, lines=lines)
    return 0


def compute_report(place: Place, run: str | None) -> dict[str, Any]:
    """Fold the report of a run from the hub's log and the repository.

    Raises:
        UsageError: There is no such run.
    """
    import asyncio

    from aegis_tui.bootstrap import describe_commit_at
    from aegis_tui.domain.event import event_from_wire
    from aegis_tui.domain.report import fold_report
    from aegis_tui.domain.run_event import RunStarted

    events = [event_from_wire(item) for item in all_events(place)]
    named = [event.data.run for event in events if isinstance(event.data, RunStarted)]
    if not named:
        raise UsageError("there is no run", "start one: aegis-tui run GOAL")
    name = run or named[-1]
    first = fold_report(events, name)
    if first["commit"] is None:
        return first
    seen = asyncio.run(describe_commit_at(place.root, first["commit"]["oid"]))
    return fold_report(events, name, commit=seen)


def all_events(place: Place) -> Iterator[dict[str, Any]]:
    """Every logged event in wire form, oldest first."""
    hub, after = place.hub(), 0
    while page := hub.events(after=after, limit=PAGE):
        yield from page
        after = page[-1]["seq"]


def _app(function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app


status_app, report_app = _app(_status), _app(_report)
