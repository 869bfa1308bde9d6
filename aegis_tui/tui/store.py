"""The interface's only copy of hub state: the same core, fed by the same events (style-guide 5)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from textual.dom import DOMNode
from textual.signal import Signal

from aegis_tui.domain.event import Event
from aegis_tui.domain.model import Key
from aegis_tui.domain.run import Run
from aegis_tui.domain.run_event import RunFinished, StageChanged
from aegis_tui.domain.workspace import Workspace

KEPT_EVENTS = 2_000
"""How many events the stream can be scrolled back through."""

EVENT_KEY: Key = ("event", "")
CONNECTION_KEY: Key = ("connection", "")
METERS_KEY: Key = ("meters", "")
RESET_KEYS: frozenset[Key] = frozenset(
    (kind, "") for kind in ("instance", "run", "lock", "partition", "message", "event", "connection")
)


class WorkspaceStore:
    """A mirror of the hub's workspace. Widgets read it and listen to `changed`; only `apply` changes it.

    Args:
        owner: The node whose life the signal shares.
        now: The wall clock; a recorded session brings its own.
    """

    def __init__(self, owner: DOMNode, *, now: Callable[[], datetime] | None = None) -> None:
        self.workspace = Workspace()
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.reports: dict[str, dict[str, Any]] = {}
        self.stage_since: dict[str, str] = {}
        self.is_connected = False
        self.was_connected = False
        self.meters: dict[str, Any] | None = None
        self.usage: dict[str, Any] = {}
        self.changed: Signal[frozenset[Key]] = Signal(owner, "workspace-changed")
        self._now = now or (lambda: datetime.now(UTC))
        self._news = asyncio.Event()

    def now(self) -> datetime:
        """The present instant."""
        return self._now()

    @property
    def run(self) -> Run | None:
        """The run that goes on, else the last one."""
        return self.workspace.runs.current() or self.workspace.runs.latest()

    def apply(self, batch: Sequence[Event]) -> None:
        """Apply events in order and tell what changed. Events that are known already are passed over."""
        keys: set[Key] = set()
        for event in batch:
            if event.seq <= self.workspace.seq:
                continue
            keys |= self.workspace.evolve(event)
            self._remember(event)
        self._news.set()
        if batch:
            self.changed.publish(frozenset(keys | {EVENT_KEY}))

    async def until(self, is_so: Callable[[], bool], *, deadline_s: float) -> bool:
        """Wait until the mirror shows something; returns whether it does.

        Args:
            is_so: Looks at the mirror; asked after each batch of events.
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
                self.reports[run] = report
            case StageChanged(run=run):
                self.stage_since[run] = event.timestamp
            case _:
                return

    def reset(self) -> None:
        """Forget everything: the hub's log is another one, or shorter than what was seen."""
        self.workspace = Workspace()
        self.events.clear()
        self.reports.clear()
        self.stage_since.clear()
        self.changed.publish(RESET_KEYS)

    def connection(self, *, is_up: bool) -> None:
        """The hub answers, or does not."""
        if is_up != self.is_connected or not self.was_connected:
            self.is_connected = is_up
            self.was_connected = self.was_connected or is_up
            self.changed.publish(frozenset({CONNECTION_KEY}))

    def metered(self, meters: dict[str, Any] | None, usage: dict[str, Any]) -> None:
        """What the model server and its gateway say of themselves; None when there is no server."""
        if meters != self.meters or usage != self.usage:
            self.meters, self.usage = meters, usage
            self.changed.publish(frozenset({METERS_KEY}))
