"""When the whole state is kept beside the log, so that a start does not read the log from its first event.

What counts is how many events follow the newest snapshot in the log, whichever process wrote them: a hub that lives for
a minute at a time starts as fast as one that lives for a week.
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
"""A snapshot stops the writer for a moment: the next one waits this many times as long, up to 4 times the events."""

START_SHARE, FAREWELL_SHARE = 5, 10
"""At a start, and at an orderly end, this part of the usual number of events is enough for a snapshot: nobody waits."""

_log = logging.getLogger(__name__)


class SnapshotKeeper:
    """Keeps snapshots of one log. Not thread-safe: used by the writer only, and by `Engine.close`."""

    def __init__(self, log: EventLog, clock: Clock, *, every_events: int) -> None:
        """Name the log.

        Args:
            log: Open whenever a method is called.
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
        """Count from the snapshot that the state was recovered from, and keep a newer one if much was read after it.

        Args:
            seq: The event that the snapshot ended at; 0 when there was none.
            workspace: As for `keep_if_due`.
        """
        self._seq = seq
        if (self._log.last_seq - seq) * START_SHARE >= self._every_events:
            self._keep(workspace)

    def keep_if_due(self, workspace: Workspace) -> None:
        """Copy the state and save it in the background, if enough events were logged since the last time.

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
        """Wait for the snapshot that is being saved, and keep a last one if the next start would gain by it.

        Args:
            workspace: The state after the last logged event; None when it is not known to be that.
        """
        if self._saving is not None:
            await self._saving
        since = self._log.last_seq - self._seq
        if workspace is not None and since and since * FAREWELL_SHARE >= self._every_events:
            await self._save(workspace.seq, workspace.dump())

    async def _save(self, seq: int, state: dict[str, object]) -> None:
        try:
            await self._log.save_snapshot(seq, state)
        except StoreError as error:
            _log.warning("no snapshot", extra={"aegis_error": str(error)})
