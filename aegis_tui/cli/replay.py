"""`aegis-tui replay`: computes the hub's state after any event from the log alone (HUB-5)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from aegis_tui.cli import output
from aegis_tui.cli.place import Place, here
from aegis_tui.domain.context import mirror_view, snapshot_view
from aegis_tui.domain.count import counted
from aegis_tui.domain.event import Event, event_from_wire
from aegis_tui.domain.wire.output import ReplayOutput
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError, UsageError
from aegis_tui.sdk.quick import HubQuick

PAGE = 1000


def _replay(
    to: Annotated[
        int | None, typer.Option("--to", min=0, metavar="SEQ", help="The last event to apply; all by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> int:
    """Compute the state after any event of the log, and compare it with the hub's.

    The comparison needs a running hub. It is made only for the newest event of the hub, which is also the last one that
    is applied without --to. If the two states differ, that is an error with exit code 1. Nothing is changed, and no hub
    is started. Exit code 1 also if the log is damaged or its beginning was removed; 2 if there is no such event or no
    log, 5 if a hub is running and does not answer.
    """
    place = here()
    address = place.find()
    agrees: bool | None = None
    if address is None:
        workspace = asyncio.run(_fold_stopped(place, to))
    else:
        hub = HubQuick(address)
        held = hub.mirror()
        workspace = _fold_running(hub, held["seq"] if to is None else to)
        agrees = digest(held) == digest(mirror_view(workspace)) if workspace.seq == held["seq"] else None
    if agrees is False:
        raise StoreError(
            f"the hub's state after event {workspace.seq} differs from the one computed from its log",
            "keep a copy of the log for a bug report, then restart the hub: aegis-tui hub restart",
        )
    state_hash = digest(mirror_view(workspace))
    context = snapshot_view(workspace, key=place.paths.key)
    fields = ReplayOutput(seq=workspace.seq, state_hash=state_hash, hub_agrees=agrees, context=context)
    output.result(fields, as_json=as_json, lines=_lines(workspace, state_hash, agrees))
    return 0


def _lines(workspace: Workspace, state_hash: str, agrees: bool | None) -> list[str]:
    run = workspace.runs.current() or workspace.runs.latest()
    lines = [f"state after event {workspace.seq}: {state_hash}"]
    if agrees:
        lines.append("the running hub has the same state")
    if run is not None:
        lines.append(f"{run.run}: {run.stage}, {run.goal}")
    alive, locks = len(list(workspace.instances.alive())), len(list(workspace.locks.locks()))
    lines.append(f"{counted(alive, 'instance')}, {counted(locks, 'lock')}")
    return lines


def digest(state: Mapping[str, object]) -> str:
    """Return the SHA-256 of a state of JSON values, as 64 hex digits; equal states have equal digests.

    Pass a state without secrets (`mirror_view`): then a state computed from the hub's replies, which lack them, can be
    compared with one computed from the log file.
    """
    text = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _fold_running(hub: HubQuick, to: int) -> Workspace:
    workspace = Workspace()
    while workspace.seq < to and (page := hub.envelopes(after=workspace.seq, limit=min(PAGE, to - workspace.seq))):
        _apply(workspace, map(event_from_wire, page))
    return _checked(workspace, to)


async def _fold_stopped(place: Place, to: int | None) -> Workspace:
    from aegis_tui.bootstrap.log import open_stopped_log

    async with open_stopped_log(place.paths) as log:
        wanted = log.last_seq if to is None else to
        older = [state for seq, state in await log.load_snapshots() if seq <= wanted]
        workspace = Workspace.load(older[0]) if older and log.first_seq > 1 else Workspace()
        while workspace.seq < wanted and (events := await log.read(workspace.seq, min(PAGE, wanted - workspace.seq))):
            _apply(workspace, events)
        return _checked(workspace, wanted)


def _apply(workspace: Workspace, events: Iterable[Event]) -> None:
    for event in events:
        if event.seq != workspace.seq + 1:
            raise StoreError(
                f"the log begins at event {event.seq}; earlier events were removed",
                "stop the hub (aegis-tui hub stop) and repeat the command: it can then begin at a snapshot in the log",
            )
        workspace.evolve(event)


def _checked(workspace: Workspace, to: int) -> Workspace:
    if workspace.seq < to:
        raise UsageError(f"there is no event {to}", f"the newest is {workspace.seq}")
    return workspace


replay_app = typer.Typer(add_completion=False)
replay_app.command()(_replay)
