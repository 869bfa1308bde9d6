"""`aegis-tui workspaces`: every repository of this user that has a workspace, with its state."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.domain.count import counted
from aegis_tui.domain.need import needs
from aegis_tui.domain.wire.output import WorkspaceItem, WorkspacesOutput
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.sdk.discovery import WorkspacePaths, find_process
from aegis_tui.sdk.workspaces import KnownWorkspace, known_workspaces, last_used

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def _workspaces(as_json: AsJson = False) -> int:
    """List every repository that has a workspace, with its hub, its run and what is waiting for you.

    The one that was used last comes first. The hubs are not asked: the state is read from the logs, and one that is
    damaged is listed as such.
    """
    listed = [_item(known) for known in known_workspaces(os.environ)]
    lines = output.table(_row(item, word) for item, word in listed) or ["no repository has a workspace yet"]
    items = [item for item, _ in listed]
    output.result(WorkspacesOutput(workspaces=items), as_json=as_json, lines=lines)
    return 0


def _item(known: KnownWorkspace) -> tuple[WorkspaceItem, str]:
    """Return what is known of a workspace, and the state of its run as a person reads it (`incomplete`)."""
    hub = find_process(known.paths)
    state, is_damaged = _state(known.paths)
    run = state.runs.current() or state.runs.latest()
    used = last_used(known.paths)
    run_state = _run_state(state)
    is_incomplete = run_state == "failed" and run is not None and run.commit is not None
    item: WorkspaceItem = {
        "key": known.paths.key,
        "root": None if known.root is None else str(known.root),
        "exists": known.root is not None and known.root.is_dir(),
        "hub_pid": None if hub is None else hub.pid,
        "run": None if run is None else run.run,
        "run_state": run_state,
        "goal": None if run is None else run.goal,
        "instances": sum(1 for _ in state.instances.alive()) if hub is not None else 0,
        "waiting": len(needs(state)) if hub is not None else 0,
        "damaged": is_damaged,
        "last_used": datetime.fromtimestamp(used, UTC).isoformat(timespec="seconds") if used else None,
    }
    return item, "incomplete" if is_incomplete else run_state or ""


def _state(paths: WorkspacePaths) -> tuple[Workspace, bool]:
    """Return the state that the log gives, and whether the log is damaged.

    An empty state if it is, or there is no log.
    """
    from aegis_tui.bootstrap.log import log_reader

    try:
        return log_reader(paths).workspace(), False
    except UsageError:
        return Workspace(), False
    except StoreError:
        return Workspace(), True


def _run_state(state: Workspace) -> str | None:
    if (run := state.runs.current()) is not None:
        return run.status.lower() if not run.is_open else f"{run.stage} {run.status.lower()}"
    latest = state.runs.latest()
    return None if latest is None else "done" if latest.ok else "failed"


def _row(item: WorkspaceItem, run_word: str) -> list[str]:
    where = item["root"] or f"unknown repository {item['key']}"
    if item["root"] is not None and not item["exists"]:
        where += " (gone)"
    hub = "log damaged" if item["damaged"] else f"hub {item['hub_pid']}" if item["hub_pid"] else "no hub"
    waiting = f"{item['waiting']} {'needs' if item['waiting'] == 1 else 'need'} you" if item["waiting"] else ""
    agents = counted(item["instances"], "agent") if item["instances"] else ""
    at = (item["last_used"] or "never used")[:16].replace("T", " ")
    run = f"{item['run']} {run_word}" if item["run"] else "no run"
    return [where, hub, run, agents, waiting, at, output.short(item["goal"] or "")]


workspaces_app = typer.Typer(add_completion=False)
workspaces_app.command()(_workspaces)
