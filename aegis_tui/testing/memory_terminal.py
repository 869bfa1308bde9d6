"""A terminal in memory: panes are only entries, and their programs end when a test ends them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence

from aegis_tui.ports.terminal import OpenPane, PaneExit, PaneKey, PaneSpec, PaneState, Screenshot


class MemoryTerminal:
    """A `Terminal` without a tmux server."""

    def __init__(self) -> None:
        self.panes: dict[str, PaneState] = {}
        """Instance -> its pane, dead ones included."""
        self.opened: list[PaneSpec] = []
        self.pressed: list[tuple[str, PaneKey]] = []
        """The keys that were typed, each with the id of its pane."""
        self.is_running = False
        self._ids = itertools.count(1)
        self._exits: asyncio.Queue[PaneExit] = asyncio.Queue()

    def end(self, instance: str, *, status: int | None = 0, signal: int | None = None, reported: bool = True) -> None:
        """Let the program of a pane end; the pane stays, as a dead one.

        Args:
            instance: The pane's instance.
            status: The program's exit status.
            signal: The signal that ended it.
            reported: Whether `exits` reports it; a server that was itself killed does not.

        Raises:
            KeyError: The instance has no pane.
        """
        pane = self.panes[instance]
        self.panes[instance] = PaneState(instance, pane.pane_id, pane.pid, True, status, signal, pane.title)
        if reported:
            self._exits.put_nowait(PaneExit(instance, pane.pane_id, status, signal))

    def lose(self) -> None:
        """Remove the server with all panes, without reporting any exit."""
        self.panes.clear()
        self.is_running = False

    async def start(self) -> None:
        """Set `is_running`; nothing is started."""
        self.is_running = True

    async def close(self) -> None:
        """Do nothing, so that the streams of `dirty` and `exits` do not end."""

    async def open_pane(self, spec: PaneSpec) -> OpenPane:
        """Return the live pane of an instance; without one, add a pane for `spec`, which is not checked.

        Nothing is started.
        """
        there = self.panes.get(spec.instance)
        if there is None or there.dead:
            number = next(self._ids)
            self.opened.append(spec)
            there = PaneState(spec.instance, f"%{number}", 1000 + number, False, None, None, spec.title)
            self.panes[spec.instance] = there
        return OpenPane(there.instance, there.pane_id, there.pid)

    async def find_pane(self, instance: str) -> PaneState | None:
        """Return the pane of an instance, dead or alive; None if it has none, also if no server runs."""
        return self.panes.get(instance)

    async def list_panes(self) -> list[PaneState]:
        """Return the panes of all instances, dead ones too; empty if there are none, also if no server runs."""
        return list(self.panes.values())

    async def press(self, pane_id: str, key: PaneKey) -> bool:
        """Note the key in `pressed`; return whether the pane exists and its program runs."""
        is_there = any(pane.pane_id == pane_id and not pane.dead for pane in self.panes.values())
        if is_there:
            self.pressed.append((pane_id, key))
        return is_there

    async def capture(self, pane_ids: Sequence[str], history_lines: int = 0) -> dict[str, Screenshot]:
        """Return by pane id what the panes show, which is their title; unknown panes are left out."""
        return {
            pane.pane_id: Screenshot((pane.title,), 80, 1, 0, 0, alternate=False)
            for pane in self.panes.values()
            if pane.pane_id in pane_ids
        }

    async def dirty(self) -> AsyncGenerator[frozenset[str], None]:
        """Yield nothing and never end, because no pane ever has output."""
        await asyncio.Event().wait()
        yield frozenset()

    async def exits(self) -> AsyncGenerator[PaneExit, None]:
        """Yield each end of a program that `end` reports, and never end.

        Of several callers, each end goes to only one.
        """
        while True:
            yield await self._exits.get()

    async def close_pane(self, instance: str, *, grace_s: float = 2.0) -> None:
        """Remove the pane of an instance at once, if it has one; `exits` does not report its end."""
        self.panes.pop(instance, None)

    async def stop_server(self) -> None:
        """Remove all panes and clear `is_running`; `exits` reports no end."""
        self.lose()

    def attach_argv(self, instance: str, *, read_only: bool = False, environ: Mapping[str, str]) -> list[str]:
        """Return a command that does nothing: `true` with the instance's id."""
        return ["true", instance]
