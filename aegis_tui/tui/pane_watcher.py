"""Captures the contents of the panes that the screen shows, and of no others; at most 10 times a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from aegis_tui.errors import TerminalError, TerminalUnavailable
from aegis_tui.ports.terminal import Screenshot

CAPTURE_S = 0.1
RETRY_S = 1.0


class PaneSource(Protocol):
    """The methods of the port `Terminal` that the app uses; they are described there."""

    async def start(self) -> None:
        """Start the private tmux server if it does not run, and connect to it.

        Raises:
            TerminalUnavailable: tmux is missing or too old, or the server does not start.
            OSError: The server's configuration cannot be written.
        """
        ...

    async def close(self) -> None:
        """Disconnect from the tmux server and end the streams of `dirty`; the panes keep running."""
        ...

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return pane id -> what it shows, with at most `history_lines` lines above; missing panes are left out.

        Raises:
            TerminalUnavailable: The server does not run.
            TerminalError: It answers with an error.
        """
        ...

    def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield sets of ids of panes with new output, at most 10 a second, until `close` (see `Terminal.dirty`)."""
        ...

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """Return the command that shows a person the instance's pane until they detach.

        `environ` is the environment that the command will run in. Whether the pane exists is not checked.

        Raises:
            TerminalUnavailable: There is no tmux.
            UsageError: The instance id is not valid.
        """
        ...


Tell = Callable[[str, Screenshot | None], None]


class PaneWatcher:
    """Captures the panes given to `want`, each time that they have written something, while `run` runs.

    Args:
        open_terminal: Returns a new client of the private tmux server. Its `start` is called only after a first capture
            has shown that the server runs, because watching must never start a server.
        tell: Called with a pane id and its new content; None if the pane cannot be seen.
    """

    def __init__(self, open_terminal: Callable[[], PaneSource], tell: Tell) -> None:
        self._open, self._tell = open_terminal, tell
        self._wanted: frozenset[str] = frozenset()
        self._due: set[str] = set()
        self._wake = asyncio.Event()

    def want(self, panes: Iterable[str]) -> None:
        """Watch these panes, given by their ids, from now on, and no others; the same ones again have no effect."""
        wanted = frozenset(panes)
        if wanted != self._wanted:
            self._due |= wanted - self._wanted
            self._wanted = wanted
            self._wake.set()

    async def run(self) -> None:
        """Capture the wanted panes whenever they have written something, and report each by `tell`, until cancelled.

        Each pane is captured at once when it is first wanted, then at most 10 times a second. While none is wanted, it
        only waits. If tmux fails, each is reported with None, and watching begins again after `RETRY_S` (1 s).

        Raises:
            OSError: The configuration of the tmux server cannot be written.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._wanted:
                continue
            terminal = self._open()
            try:
                self._due = set(self._wanted)
                await self._shoot(terminal)
                await terminal.start()
                await self._follow(terminal)
            except (TerminalUnavailable, TerminalError):
                for pane in self._wanted:
                    self._tell(pane, None)
                await asyncio.sleep(RETRY_S)
                self._wake.set()
            finally:
                await terminal.close()

    async def _follow(self, terminal: PaneSource) -> None:
        marker = asyncio.create_task(self._mark(terminal))
        try:
            while self._wanted:
                await self._wake.wait()
                self._wake.clear()
                await self._shoot(terminal)
                await asyncio.sleep(CAPTURE_S)
        finally:
            marker.cancel()
            await asyncio.gather(marker, return_exceptions=True)

    async def _mark(self, terminal: PaneSource) -> None:
        async with aclosing(terminal.dirty()) as batches:
            async for panes in batches:
                if seen := panes & self._wanted:
                    self._due |= seen
                    self._wake.set()

    async def _shoot(self, terminal: PaneSource) -> None:
        due = [pane for pane in self._due if pane in self._wanted]
        self._due.clear()
        if not due:
            return
        shots = await terminal.capture(due)
        for pane in due:
            self._tell(pane, shots.get(pane))
