"""A hub and panes that replay saved data, for screenshots and for tests of the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aegis_tui.domain.event import Event
from aegis_tui.domain.wire.gateway import ModelMetrics
from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, HubUnavailable, UsageError
from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.feed import ConnectionState, FeedItem, HubSnapshot, Meters, parse_event

METERS: ModelMetrics = {
    "running": 2,
    "waiting": 0,
    "kv_cache": 0.06,
    "prefix_hit_rate": 0.93,
    "tokens_per_s": 118.0,
    "ttft_s": 0.03,
}
"""The meters that a recorded session shows."""


class RecordedHub:
    """A `Hub` whose state comes from given events. `play` adds more. Commands are recorded, but not carried out.

    Args:
        events: The events so far, which begin with the first one of a log.
        meters: The meters of the model server; None for no gateway.
    """

    def __init__(self, events: Sequence[Event] = (), *, meters: ModelMetrics | None = None) -> None:
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.replies: dict[str, AnyReply | AegisError] = {}
        self.starts = 0
        self.crashed = False
        self._meters = meters
        self._queue: asyncio.Queue[FeedItem] = asyncio.Queue()
        self._queue.put_nowait(ConnectionState(True, events[-1].seq if events else 0))
        self._queue.put_nowait(snapshot_of(events))

    def hold_back(self) -> None:
        """Discard what `follow` has not yielded yet, so that the state is never read."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def play(self, item: FeedItem) -> None:
        """Make `follow` yield this item, after those that it has not yielded yet."""
        self._queue.put_nowait(item)

    async def follow(self) -> AsyncGenerator[FeedItem, None]:
        """Yield that the hub answers, the state of the given events, and then what `play` adds, without end."""
        while True:
            yield await self._queue.get()

    async def command(self, command_type: str, **fields: Any) -> AnyReply:
        """Record the command in `commands`; return the reply that `replies` has for its type.

        Raises:
            AegisError: The error that `replies` has for its type; `HubUnavailable` if it has nothing.
        """
        self.commands.append((command_type, fields))
        reply = self.replies.get(command_type, HubUnavailable("this log is a recording", "open the dashboard itself"))
        if isinstance(reply, AegisError):
            raise reply
        return reply

    async def start(self) -> None:
        """Count the call in `starts`; nothing is started."""
        self.starts += 1

    async def has_crashed(self) -> bool:
        """Return `crashed`, which a test may set."""
        return self.crashed

    async def meters(self) -> Meters:
        """Return the meters given to the constructor, and an empty usage."""
        return self._meters, {}

    async def close(self) -> None:
        """Do nothing."""


def snapshot_of(events: Sequence[Event]) -> HubSnapshot:
    """Return the state after these events, computed from an empty one, and the events themselves.

    They must begin with the first one of a log.
    """
    workspace = Workspace()
    for event in events:
        workspace.evolve(event)
    return HubSnapshot(workspace, tuple(events))


class RecordedPanes:
    """A `PaneSource` with saved contents of panes, which never change; it uses no tmux.

    Args:
        panes: Lines by pane id, with their SGR sequences.
        attach: The command that `attach_argv` returns.
    """

    def __init__(self, panes: Mapping[str, Sequence[str]], *, attach: Sequence[str] = ("true",)) -> None:
        self.panes = {name: tuple(lines) for name, lines in panes.items()}
        self.attached: list[tuple[str, bool]] = []
        self._attach_words = list(attach)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return the saved contents of these panes, by pane id; unknown panes are left out."""
        wanted = {name: self.panes[name] for name in pane_ids if name in self.panes}
        return {name: Screenshot(lines, 80, len(lines), 0, 0, False) for name, lines in wanted.items()}

    async def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield nothing, and never end, because a saved pane does not change."""
        await asyncio.Event().wait()
        yield frozenset()

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """Return the command given as `attach`, whatever the arguments are, and record the call in `attached`."""
        self.attached.append((instance, read_only))
        return self._attach_words


def load_panes(path: Path) -> dict[str, list[str]]:
    """Read a file of saved panes, and return pane id -> lines. It is a JSON object with a list of lines for each id.

    Raises:
        UsageError: It cannot be read, or has another form.
    """
    try:
        return {str(name): [str(line) for line in lines] for name, lines in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path} is not a file of saved panes: {error}", "it has to be a JSON object with lines for each pane id"
        ) from error


def load_events(path: Path) -> list[Event]:
    """Return the events in a file with the output of `aegis-tui events`, one JSON object per line, in its order.

    Events that this version does not know are left out, so the result may be empty.

    Raises:
        UsageError: It cannot be read, or a line is not an event.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        events = [parse_event(json.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a log of events: {error}", "write one: aegis-tui events > FILE") from error
    return [event for event in events if event is not None]
