"""The app's only copy of the hub's state. It is computed by the same domain code from the same events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

from textual.dom import DOMNode
from textual.signal import Signal

from aegis_tui.domain.event import Event
from aegis_tui.domain.model import Key
from aegis_tui.domain.run.events import RunFinished, StageChanged
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.run.report_model import Report
from aegis_tui.domain.wire.gateway import ModelMetrics, UsageFields
from aegis_tui.domain.workspace import Workspace
from aegis_tui.tui.text import CATCHING_UP as CATCHING_UP

KEPT_EVENTS = 2_000
"""How many events are kept for the events panel."""

NO_HUB = "no hub is running for this repository"

EVENT_KEY: Key = ("event", "")
CONNECTION_KEY: Key = ("connection", "")
METERS_KEY: Key = ("meters", "")
RESET_KEYS: frozenset[Key] = frozenset(
    (kind, "") for kind in ("instance", "run", "lock", "partition", "message", "event", "connection")
)


class WorkspaceStore:
    """The app's copy of the hub's state. Widgets read it; only what comes from the hub changes it.

    After each change, the signal `changed` is published with the keys of what has changed, each a kind and an id, such
    as `("instance", "NATIVE-w01")`.

    Args:
        owner: The node that owns the signal, which ends with it.
        now: The clock of a recorded session; None for the real one.
    """

    def __init__(self, owner: DOMNode, *, now: Callable[[], datetime] | None = None) -> None:
        self.workspace = Workspace()
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.reports: dict[str, Report] = {}
        self.stage_since: dict[str, str] = {}
        self.is_connected = False
        self.was_connected = False
        self.is_loaded = False
        """Whether the state was ever read; before, the workspace here is empty."""
        self.is_stale = False
        """Whether the state is being read again, so that the one here may be out of date."""
        self.trouble = ""
        """Why the state cannot be read; empty if it can, or if the hub simply does not answer."""
        self.was_asked = False
        """Whether it is known if a hub answers."""
        self.is_behind = False
        """Whether events that the hub had logged a while ago have not arrived."""
        self._hub_seq = 0
        self._must_reach = 0
        self.meters: ModelMetrics | None = None
        self.usage: Mapping[str, UsageFields] = {}
        self.changed: Signal[frozenset[Key]] = Signal(owner, "workspace-changed")
        self._now = now or (lambda: datetime.now(UTC))
        self._news = asyncio.Event()

    def now(self) -> datetime:
        """Return the current time, with its time zone; in a recorded session, that of its clock."""
        return self._now()

    @property
    def is_current(self) -> bool:
        """Whether the state here is the hub's current one: it was read, the hub answers, and no event is late."""
        return self.is_connected and self.is_loaded and not self.is_stale and not self.is_behind

    @property
    def is_catching_up(self) -> bool:
        """Whether the state here is not current, while the hub answers or it is not known yet whether it does."""
        return not self.is_current and (self.is_connected or not self.was_asked)

    @property
    def absence(self) -> str:
        """A few words to show in place of a state: that it is being read, or that no hub is running."""
        return CATCHING_UP if self.is_catching_up else NO_HUB

    @property
    def run(self) -> Run | None:
        """The run that has not ended, else the newest one that has; None if there is none."""
        return self.workspace.runs.current() or self.workspace.runs.latest()

    def apply(self, batch: Sequence[Event]) -> None:
        """Apply events in order to the state, keep them for the events panel, and publish, once, what changed.

        Events that were applied before are skipped; a batch of such alone still publishes `EVENT_KEY`, an empty one
        nothing. If whether this state is behind the hub changes, that is published by itself, first.
        """
        keys: set[Key] = set()
        for event in batch:
            if event.seq <= self.workspace.seq:
                continue
            keys |= self.workspace.evolve(event)
            self._remember(event)
        self._news.set()
        self._note_lag()
        if batch:
            self.changed.publish(frozenset(keys | {EVENT_KEY}))

    async def until(self, is_so: Callable[[], bool], *, deadline_s: float) -> bool:
        """Wait until a condition holds, or the time is over; return whether it holds then. Never raises `TimeoutError`.

        Args:
            is_so: The condition; evaluated now, and after each change of the state or the connection.
            deadline_s: Seconds to wait at most.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while not is_so():
                    self._news.clear()
                    await self._news.wait()
        return is_so()

    def _remember(self, event: Event) -> None:
        self.events.append(event)
        match event.data:
            case RunFinished(run=run, report=report):
                self.reports[run] = cast(Report, report)
            case StageChanged(run=run):
                self.stage_since[run] = event.timestamp
            case _:
                return

    def load(self, workspace: Workspace, events: Sequence[Event]) -> None:
        """Replace the state by a new one, and publish that everything changed. The state is no longer marked as stale.

        Args:
            workspace: The new state; it is kept, not copied.
            events: The last events that led to it, oldest first; reports of ended runs are taken from them.
        """
        self.workspace = workspace
        self.events.clear()
        self.reports.clear()
        self.stage_since.clear()
        for event in events:
            self._remember(event)
        self.is_loaded, self.is_stale, self.trouble = True, False, ""
        self._news.set()
        self.changed.publish(RESET_KEYS)

    def stale(self, reason: str = "") -> None:
        """Mark the state as out of date until the next `load`, and publish that.

        `reason` says why the state cannot be read; empty if that is not known. A repeated call with the same reason
        does nothing.
        """
        if not self.is_stale or reason != self.trouble:
            self.is_stale, self.trouble = True, reason
            self.changed.publish(frozenset({CONNECTION_KEY}))

    def connection(self, *, is_up: bool, seq: int = 0) -> None:
        """Record whether the hub answers, and from that whether the state here is behind; publish what has changed.

        Args:
            is_up: Whether it answers.
            seq: The newest event that it has. The state is behind if it lacks an event that the hub had at its previous
                answer or, after the hub did not answer, one that it has now.
        """
        was = (self.is_connected, self.was_asked)
        self._must_reach = self._hub_seq if is_up and self.is_connected else seq
        self._hub_seq = seq
        self.is_connected, self.was_asked = is_up, True
        self.was_connected = self.was_connected or is_up
        self._news.set()
        self._note_lag()
        if was != (is_up, True):
            self.changed.publish(frozenset({CONNECTION_KEY}))

    def _note_lag(self) -> None:
        is_behind = self.is_loaded and self.workspace.seq < self._must_reach
        if is_behind != self.is_behind:
            self.is_behind = is_behind
            self.changed.publish(frozenset({CONNECTION_KEY}))

    def metered(self, meters: ModelMetrics | None, usage: Mapping[str, UsageFields]) -> None:
        """Record the figures of the model server, and publish that; if they are the same as before, do nothing.

        Args:
            meters: `metrics` of `GET /v1/meters` (contract 9); None if there is no gateway.
            usage: Agent id -> the tokens that the gateway counted for it.
        """
        if meters != self.meters or usage != self.usage:
            self.meters, self.usage = meters, usage
            self.changed.publish(frozenset({METERS_KEY}))
