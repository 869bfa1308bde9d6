"""Panes of a workspace's private terminal server, where instances live (PANE-1 to PANE-4, PANE-8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Delivery(StrEnum):
    """What became of a prompt (PANE-4). There is no fifth answer."""

    DELIVERED = "delivered"
    """Seen on the pane's screen, submitted, and the screen moved on."""
    QUEUED = "queued"
    """Kept for the agent's next turn. A terminal never says this; an agent's own queue may."""
    REFUSED = "refused"
    """Nothing was typed: no such pane, a dead one, an empty text, or a line its program cannot take."""
    UNKNOWN = "unknown"
    """Typed, wholly or in part, without a sign of its effect. Never typed again by itself."""


@dataclass(frozen=True, slots=True)
class PaneSpec:
    """What to run in a new pane."""

    instance: str
    """Instance id; also the window's name."""
    argv: tuple[str, ...]
    """The program and its arguments, run without a shell. Visible to every user of the machine."""
    cwd: Path
    """Where it starts; an existing folder."""
    title: str = ""
    """First title of the pane; the program may set another."""


@dataclass(frozen=True, slots=True)
class Pane:
    """An open pane."""

    instance: str
    pane_id: str
    """The server's own id, `%7`; never used again while that server lives."""
    pid: int
    """The pane's first process, leader of its own session and process group."""


@dataclass(frozen=True, slots=True)
class PaneState:
    """One pane as the server sees it now."""

    instance: str
    pane_id: str
    pid: int
    """The pane's first process; another process may bear this number once the pane is dead."""
    dead: bool
    """The first process has ended; the pane still shows its last screen."""
    exit_status: int | None
    exit_signal: int | None
    title: str
    in_mode: bool
    """A person scrolls or selects in it."""


@dataclass(frozen=True, slots=True)
class PaneExit:
    """The first process of a pane has ended; both fields are None when nobody saw how."""

    instance: str
    pane_id: str
    status: int | None
    signal: int | None


@dataclass(frozen=True, slots=True)
class Screenshot:
    """What a pane shows."""

    lines: tuple[str, ...]
    """History, then the screen, top first. The only escape sequences are SGR (`ESC[...m`). Colours are those of a
    running terminal: what is set on one line holds on the next. Trailing blanks that the program drew are kept."""
    width: int
    height: int
    """Size of the screen in cells; the last `height` lines are the screen."""
    cursor_x: int
    cursor_y: int
    """Cursor in cells from the upper left of the screen, from 0."""
    alternate: bool
    """The program draws on the alternate screen, so there is no history of it."""


class Terminal(Protocol):
    """Panes of a private server. Never blocks the event loop; every call ends within its deadline.

    Raises only `TerminalUnavailable` (no usable server) and `TerminalError` (it answered with an error), besides
    `UsageError` for an instance id that is not safe as a name.
    """

    async def start(self) -> None:
        """Make the server run and follow it. Does nothing when both are so.

        Raises:
            TerminalUnavailable: The terminal program is missing or too old, or the server does not come up.
        """
        ...

    async def close(self) -> None:
        """Stop following the server. Panes go on."""
        ...

    async def open_pane(self, spec: PaneSpec) -> Pane:
        """Return the live pane of the instance, made from `spec` if there is none; a dead one gives way."""
        ...

    async def find_pane(self, instance: str) -> PaneState | None:
        """The pane of an instance, dead or alive, or None."""
        ...

    async def list_panes(self) -> list[PaneState]:
        """Every instance's pane, in the order of their windows."""
        ...

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """What the panes show, by pane id; those that are gone are left out.

        Args:
            pane_ids: The panes wanted.
            history_lines: How many lines above the screen to include, at most.
        """
        ...

    def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Ids of panes that wrote something since the last batch. Latest-wins: batches merge, at most 10 a second."""
        ...

    def exits(self) -> AsyncGenerator[PaneExit, None]:
        """Each end of a pane's first process, once. Must-deliver: what ends before the first call is kept for it."""
        ...

    async def paste(self, pane_id: str, text: str) -> Delivery:
        """Type a prompt of any size exactly, as one paste, and submit it with Enter (PANE-4).

        Control characters but tab and newline are dropped first. Calls on one pane wait for each other.
        """
        ...

    async def send_keys(self, pane_id: str, *keys: str) -> None:
        """Press keys by name (`Enter`, `C-c`, `Up`), in order.

        Raises:
            TerminalError: The pane is gone.
        """
        ...

    async def close_pane(self, instance: str, *, grace_s: float = 2.0) -> None:
        """End every process the instance started, then its window (PANE-8). Does nothing when there is none.

        Args:
            instance: Instance id.
            grace_s: Seconds between the polite signal and the other one.
        """
        ...

    async def stop_server(self) -> None:
        """Close every pane as `close_pane` does, then end the server; returns when it is gone."""
        ...

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """The command that shows a person the instance's pane until they detach (PANE-2).

        Args:
            instance: Instance id.
            read_only: Keys of the person do not reach the program.
            environ: The environment that the command will run in; tells whether it runs inside another tmux.
        """
        ...
