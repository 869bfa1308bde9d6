"""Decide when to save a snapshot of the state, so that a start need not read the log from its first event.

This depends on how many events in the log follow the newest snapshot, whichever process wrote them. So a hub that runs
for a minute at a time starts as fast as one that runs for a week.
"""

from __future__ import annotations

import asyncio
import logging

from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import StoreError
from aegis_tui.ports.clock import Clock
from aegis_tui.ports.event_log import EventLog

SNAPSHOT_EVENTS = 2_500
SNAPSHOT_SPACING = 50
"""A snapshot takes time from the writer and from the disk. For this many times as long, the next one is due only after
four times the usual number of events."""

START_SHARE, FAREWELL_SHARE = 5, 10
"""At a start and at an orderly end, when nobody waits, a fifth and a tenth of the usual number of events are enough."""

_log = logging.getLogger(__name__)


class SnapshotKeeper:
    """Saves snapshots of one log. Not thread-safe: only the engine uses it."""

    def __init__(self, log: EventLog, clock: Clock, *, every_events: int) -> None:
        """Set the log and the spacing of snapshots.

        Args:
            log: The log; it must be open whenever a method is called.
            clock: Measures how long a snapshot stops the writer.
            every_events: A snapshot is due when this many events follow the newest one.
        """
        self._log = log
        self._clock = clock
        self._every_events = every_events
        self._seq = 0
        self._not_before = 0.0
        self._saving: asyncio.Task[None] | None = None

    def start_from(self, seq: int, workspace: Workspace) -> None:
        """Note from which snapshot the state was rebuilt; if many events follow it, save a new one in the background.

        Many are a fifth of `every_events` or more. That it cannot be saved is only logged.

        Args:
            seq: The number of the last event in that snapshot; 0 when there was none.
            workspace: The state after the last logged event; not changed.
        """
        self._seq = seq
        if (self._log.last_seq - seq) * START_SHARE >= self._every_events:
            self._keep(workspace)

    def keep_if_due(self, workspace: Workspace) -> None:
        """Copy the state and save it in the background, if enough events were logged since the last snapshot.

        These are `every_events`, and four times as many while snapshots would take too large a share of the time. No
        effect while one is being saved. That it cannot be saved is only logged.

        Args:
            workspace: The state after the last logged event; not changed.
        """
        started = self._clock.now()
        wanted = self._every_events * (4 if started < self._not_before else 1)
        if self._log.last_seq - self._seq >= wanted and (self._saving is None or self._saving.done()):
            self._keep(workspace)

    def _keep(self, workspace: Workspace) -> None:
        started = self._clock.now()
        self._seq, state = workspace.seq, workspace.dump()
        self._not_before = started + SNAPSHOT_SPACING * (self._clock.now() - started)
        self._saving = asyncio.create_task(self._save(self._seq, state))

    async def close(self, workspace: Workspace | None) -> None:
        """Wait for a snapshot that is being saved, then save a last one if enough events followed it.

        These are a tenth of `every_events`. That it cannot be saved is only logged.

        Args:
            workspace: The state after the last logged event; None when that is not known, so that none is saved.
        """
        if self._saving is not None:
            await self._saving
        since = self._log.last_seq - self._seq
        if workspace is not None and since and since * FAREWELL_SHARE >= self._every_events:
            await self._save(workspace.seq, workspace.dump())

    async def _save(self, seq: int, state: dict[str, object]) -> None:
        started = self._clock.now()
        try:
            await self._log.save_snapshot(seq, state)
        except StoreError as error:
            _log.warning("the snapshot could not be saved", extra={"aegis_error": str(error)})
        self._not_before = max(self._not_before, started + SNAPSHOT_SPACING * (self._clock.now() - started))
