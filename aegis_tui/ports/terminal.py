"""Panes of a workspace's private terminal server, where instances live (PANE-1 to PANE-4, PANE-8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

PaneKey = Literal["Up", "Down", "Enter"]
"""The keys that can be typed into a pane; text cannot."""


@dataclass(frozen=True, slots=True)
class PaneSpec:
    """The program to run in a new pane."""

    instance: str
    """Instance id; also the name of the window."""
    argv: tuple[str, ...]
    """The program and its arguments, run without a shell. Every user of the machine can see them."""
    cwd: Path
    """The working directory; an existing folder."""
    title: str = ""
    """The pane's title at first; the program may set another."""


@dataclass(frozen=True, slots=True)
class OpenPane:
    """An open pane."""

    instance: str
    pane_id: str
    """The id that the server gave it, `%7`; not reused while that server runs."""
    pid: int
    """The pane's first process, leader of its own session and process group."""


@dataclass(frozen=True, slots=True)
class PaneState:
    """The present state of one pane, as the server reports it."""

    instance: str
    pane_id: str
    pid: int
    """The pane's first process; once the pane is dead, another process may have this number."""
    dead: bool
    """The first process has ended; the pane still shows its last screen."""
    exit_status: int | None
    exit_signal: int | None
    title: str


@dataclass(frozen=True, slots=True)
class PaneExit:
    """The end of a pane's first process; `status` and `signal` are None when it is not known how it ended."""

    instance: str
    pane_id: str
    status: int | None
    signal: int | None


@dataclass(frozen=True, slots=True)
class Screenshot:
    """What a pane shows."""

    lines: tuple[str, ...]
    """History, then the screen, from the top. The only escape sequences are SGR (`ESC[...m`). As in a terminal, colours
    that are set on one line stay set on the next. Trailing blanks that the program drew are kept."""
    width: int
    height: int
    """Size of the screen in cells; the last `height` lines are the screen."""
    cursor_x: int
    cursor_y: int
    """Position of the cursor in cells, from 0 at the upper left of the screen."""
    alternate: bool
    """The program draws on the alternate screen, which has no history."""


class Terminal(Protocol):
    """The panes of a private terminal server. Only `attach_argv` blocks; every call ends within its deadline.

    They raise only `TerminalUnavailable` (no usable server), `TerminalError` (the server answered with an error), and
    `UsageError` for an instance id that is not safe as a name.
    """

    async def start(self) -> None:
        """Start the server if it does not run, and connect to it; a second call does no harm.

        A connection that is not ready within 2 s is no error: it is made in the background.

        Raises:
            TerminalUnavailable: The terminal program is missing or too old, or the server does not start.
            OSError: The server's configuration cannot be written.
        """
        ...

    async def close(self) -> None:
        """Disconnect from the server, and end the streams of `dirty` and `exits`; safe to call twice.

        The panes keep running.
        """
        ...

    async def open_pane(self, spec: PaneSpec) -> OpenPane:
        """Return the live pane of the instance; without one, open it from `spec`, in place of a dead one.

        Raises:
            TerminalUnavailable: The server does not run.
            TerminalError: The working folder does not exist, or the pane cannot be opened.
            UsageError: The instance id is not safe as a name, or there is no program to run.
        """
        ...

    async def find_pane(self, instance: str) -> PaneState | None:
        """Return the pane of an instance, dead or alive; None when it has none.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: The server does not answer.
        """
        ...

    async def list_panes(self) -> list[PaneState]:
        """Return the panes of all instances, dead ones too, in the order of their windows.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: The server does not answer.
        """
        ...

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return what the panes show, by pane id; panes that no longer exist are left out.

        Args:
            pane_ids: The panes wanted.
            history_lines: How many lines above the screen to include, at most.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: The server does not answer.
        """
        ...

    async def press(self, pane_id: str, key: PaneKey) -> bool:
        """Type one key into a pane, at most once; return whether it was typed.

        It is not typed if the pane is gone, its program has ended, or a person reads its history.

        Raises:
            TerminalUnavailable: No server runs.
            TerminalError: The server does not answer; the key may or may not have been typed.
        """
        ...

    def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield sets of ids of panes with new output until `close`. Latest-wins: sets are merged, at most 10 a second.

        It begins with the output after the first set is asked for; what a pane shows before that is not reported.
        Without a steady connection to the server, every live pane counts as having new output.
        """
        ...

    def exits(self) -> AsyncGenerator[PaneExit, None]:
        """Yield each end of a pane's first process once, until `close`; each caller gets every end.

        Must-deliver: ends that occur while nobody follows are kept for the next caller.
        """
        ...

    async def close_pane(self, instance: str, *, grace_s: float = 2.0) -> None:
        """End every process that the instance started, then close its window (PANE-8).

        The processes are ended even if the pane or the server is gone; it is no error if nothing is left.

        Args:
            instance: Instance id.
            grace_s: Seconds between SIGTERM and SIGKILL.

        Raises:
            TerminalError: The server does not answer; the processes may or may not have been ended.
        """
        ...

    async def stop_server(self) -> None:
        """End every process that an instance with a pane started, close all panes, and end the server.

        Returns when it has ended. Also disconnects, as `close` does. Does nothing more if no server runs.

        Raises:
            TerminalError: The server does not answer, or does not end.
            TerminalUnavailable: The terminal program is not installed.
        """
        ...

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """Return the command line that shows a person the instance's pane until they detach (PANE-2).

        It is not run, and whether the pane exists is not checked. Blocks, unlike the other methods: it may run a
        program that knows the machine's terminal types.

        Args:
            instance: Instance id.
            read_only: The person's keys do not reach the program.
            environ: The environment that the command will run in; it shows whether that is inside another tmux.

        Raises:
            TerminalUnavailable: There is no tmux.
            UsageError: The instance id is not safe as a name.
        """
        ...
