"""What every screen works with: the store, the parts, and one way to send a command and hear no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from textual.app import App

from aegis_tui.errors import AegisError
from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.board import LayoutFile, load_layout
from aegis_tui.tui.pane_watcher import PaneWatcher
from aegis_tui.tui.parts import Parts
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.store import WorkspaceStore
from aegis_tui.tui.text import inert


class Desk:
    """Handed to each screen by constructor; owns nothing that is drawn."""

    def __init__(self, app: App[int], parts: Parts) -> None:
        self._app = app
        self.parts = parts
        self.store = WorkspaceStore(app, now=parts.now)
        self.layouts: Mapping[str, Path] = data_files("layouts", parts.environ)
        self.shots: dict[str, Screenshot | None] = {}
        self.watcher = PaneWatcher(parts.open_terminal, self._take) if parts.open_terminal else None
        self.endpoint = ""
        """What is known of the model endpoint while no run uses it; a sentence."""
        self.ends_with_screen: Sequence[str] = ()
        """What is lost when the screen is closed; empty where everything goes on."""
        self.past_runs = 0
        """How many runs the log knows, as far as anybody has looked."""
        self.hint = ""
        """Where to look; said at the bottom all the time."""

    def _take(self, pane: str, shot: Screenshot | None) -> None:
        self.shots[pane] = shot
        self.store.changed.publish(frozenset({("shot", pane)}))

    def choose(self, kind: str, name: str, words: str = "") -> None:
        """Keep a choice for the next session, and say it; a setting would go before it."""
        self.parts.choices.keep(kind, name)
        is_set = getattr(self.parts.settings, kind) is not None
        self.tell(f"{words or name}{' ─ for this session: your settings name another' if is_set else ''}", title=kind)

    def layout(self, name: str) -> LayoutFile:
        """The layout of that name, read anew from its file.

        Raises:
            UsageError: The file is wrong.
        """
        return load_layout(self.layouts[name])

    async def command(self, command_type: str, **fields: Any) -> dict[str, Any] | None:
        """Send a command; a refusal is shown with its next step, and None is returned."""
        try:
            return await self.parts.hub.command(command_type, **fields)
        except AegisError as error:
            self.complain(error)
            return None

    def complain(self, error: AegisError) -> None:
        """Show an expected failure, in place of what was said before."""
        self._app.clear_notifications()
        message = inert(error.hint) if error.hint else "nothing was changed"
        self._app.notify(message, title=inert(error.message), severity="error", timeout=8, markup=False)

    def tell(self, words: str, *, title: str = "", is_error: bool = False) -> None:
        """Show a sentence for a moment."""
        self._app.clear_notifications()
        severity: Literal["error", "information"] = "error" if is_error else "information"
        self._app.notify(inert(words), title=inert(title), severity=severity, timeout=5, markup=False)
