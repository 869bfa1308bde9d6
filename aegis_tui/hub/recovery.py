"""Rebuild the state from the log: the newest usable snapshot, then every event after it."""

from __future__ import annotations

import logging

from aegis_tui.domain.core import evolve, rearm
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, StoreError
from aegis_tui.ports.event_log import EventLog

READ_EVENTS = 2_000
"""How many events are read from the log in one step."""

NOTED_EVENTS = 10_000
"""After how many events the progress is logged, for the person who waits for the hub."""

_log = logging.getLogger(__name__)


async def recover(log: EventLog, *, now: float) -> Workspace:
    """Return the state after the last logged event; every lock, wait and session gets its full time from `now`.

    Args:
        log: An open log; it is only read.
        now: The hub's clock in seconds.

    Raises:
        StoreError: The log cannot be read, or an event or snapshot that is needed is damaged or missing.
    """
    return (await recover_from(log, now=now))[0]


async def recover_from(log: EventLog, *, now: float) -> tuple[Workspace, int]:
    """Rebuild the state from an open log: the newest usable snapshot, then every event after it.

    Every lock, wait and session gets its full time from `now`, the hub's clock in seconds. The log is only read.

    Returns:
        The state after the last logged event, and the number of the last event in the snapshot that was used, 0 without
        one.

    Raises:
        StoreError: The log cannot be read, or an event or snapshot that is needed is damaged or missing.
    """
    workspace = await _newest_snapshot(log)
    snapshot_seq = workspace.seq
    if workspace.seq + 1 < log.first_seq:
        raise StoreError(
            f"the log begins at event {log.first_seq}, and no snapshot holds the state before it",
            "restore the log from a backup",
        )
    noted = workspace.seq
    while events := await log.read(workspace.seq, READ_EVENTS):
        if workspace.seq - noted >= NOTED_EVENTS:
            noted = workspace.seq
            _log.info("reading the log, event %d of %d", noted, log.last_seq)
        for event in events:
            evolve(workspace, event)
    rearm(workspace, now)
    return workspace, snapshot_seq


async def _newest_snapshot(log: EventLog) -> Workspace:
    for seq, state in await log.load_snapshots():
        try:
            return Workspace.load(state)
        except (AegisError, KeyError, TypeError, ValueError) as error:
            _log.warning("a snapshot cannot be used", extra={"aegis_seq": seq, "aegis_error": str(error)})
    return Workspace()
