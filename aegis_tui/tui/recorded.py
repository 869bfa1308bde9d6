"""A hub that plays a saved log: for screenshots and tests of what is drawn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.domain.event import Event
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, HubUnavailable, UsageError
from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.feed import Connection, FeedItem, Snapshot, parse_event

METERS: Mapping[str, Any] = {
    "running": 2,
    "waiting": 0,
    "kv_cache": 0.06,
    "prefix_hit_rate": 0.93,
    "tokens_per_s": 118.0,
    "ttft_s": 0.03,
}
"""Meters as they were while the recorded sessions ran."""


class RecordedHub:
    """Hands out the events it was given, then whatever `play` adds. Commands are kept, not carried out.

    Args:
        events: What has happened so far.
        meters: What the gateway would say; None for no model server.
    """

    def __init__(self, events: Sequence[Event] = (), *, meters: Mapping[str, Any] | None = None) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.replies: dict[str, dict[str, Any] | AegisError] = {}
        self.starts = 0
        self.crashed = False
        self._meters = dict(meters) if meters is not None else None
        self._queue: asyncio.Queue[FeedItem] = asyncio.Queue()
        self._queue.put_nowait(Connection(True, events[-1].seq if events else 0))
        self._queue.put_nowait(snapshot_of(events))

    def hold_back(self) -> None:
        """Say nothing of what it was given, as a hub whose state is still read."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def play(self, item: FeedItem) -> None:
        """Let something happen."""
        self._queue.put_nowait(item)

    async def follow(self) -> AsyncGenerator[FeedItem, None]:
        """As `Hub.follow`."""
        while True:
            yield await self._queue.get()

    async def command(self, command_type: str, **fields: Any) -> dict[str, Any]:
        """Keep the command and give the reply that was laid out for its type."""
        self.commands.append((command_type, fields))
        reply = self.replies.get(command_type, HubUnavailable("this log is a recording", "open the dashboard itself"))
        if isinstance(reply, AegisError):
            raise reply
        return reply

    async def start(self) -> None:
        """Count the wish."""
        self.starts += 1

    async def has_crashed(self) -> bool:
        """What the test laid out."""
        return self.crashed

    async def meters(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The meters it was given."""
        return self._meters, {}

    async def close(self) -> None:
        """Nothing to end."""


def snapshot_of(events: Sequence[Event]) -> Snapshot:
    """The state after these events, as a hub would hand it out."""
    workspace = Workspace()
    for event in events:
        workspace.evolve(event)
    return Snapshot(workspace, tuple(events))


class RecordedPanes:
    """Panes that show what they showed once.

    Args:
        panes: Lines by pane id, with their SGR sequences.
        attach: What attaching runs.
    """

    def __init__(self, panes: Mapping[str, Sequence[str]], *, attach: Sequence[str] = ("true",)) -> None:
        self.panes = {name: tuple(lines) for name, lines in panes.items()}
        self.attached: list[tuple[str, bool]] = []
        self._attach_words = list(attach)

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to end."""

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """What the panes showed."""
        wanted = {name: self.panes[name] for name in pane_ids if name in self.panes}
        return {name: Screenshot(lines, 80, len(lines), 0, 0, False) for name, lines in wanted.items()}

    async def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Nothing changes any more."""
        await asyncio.Event().wait()
        yield frozenset()

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """The command it was given; who was attached to is kept."""
        self.attached.append((instance, read_only))
        return self._attach_words


def load_panes(path: Path) -> dict[str, list[str]]:
    """Panes of a file, a JSON object of lines by pane id.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return {str(name): [str(line) for line in lines] for name, lines in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{path} holds no panes: {error}", "a JSON object: pane id to lines") from error


def load_events(path: Path) -> list[Event]:
    """The events of a file that `aegis-tui events` wrote, one JSON object a line.

    Raises:
        UsageError: It cannot be read, or a line is no event.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        found = [parse_event(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a log of events: {error}", "write one: aegis-tui events > FILE") from error
    return [event for event in found if event is not None]
