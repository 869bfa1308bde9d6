"""What every screen works with: the store, the parts, and methods to send commands and to show messages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from textual.app import App

from aegis_tui.domain.wire.reply import AnyReply
from aegis_tui.errors import AegisError
from aegis_tui.ports.terminal import Screenshot
from aegis_tui.tui.board import LayoutFile, load_layout
from aegis_tui.tui.keys import KeyNames
from aegis_tui.tui.pane_watcher import PaneWatcher
from aegis_tui.tui.parts import NO_OFFER, GoalOffer, Parts
from aegis_tui.tui.resources import data_files
from aegis_tui.tui.store import WorkspaceStore
from aegis_tui.tui.text import inert

T = TypeVar("T")


class Desk:
    """What every screen gets from the app in its constructor: the state, settings, hub and panes of one session.

    It owns no widgets.

    Args:
        app: The app, which shows the messages.
        parts: What the app gets from outside.
    """

    def __init__(self, app: App[int], parts: Parts) -> None:
        self._app = app
        self.parts = parts
        self.store = WorkspaceStore(app, now=parts.now)
        self.layouts: Mapping[str, Path] = data_files("layouts", parts.environ)
        self.shots: dict[str, Screenshot | None] = {}
        """Newest content of each watched pane, by pane id; None for one that cannot be seen."""
        self.watcher = PaneWatcher(parts.open_terminal, self._take) if parts.open_terminal else None
        self.endpoint = ""
        """What is known about the model server while no run uses it; a sentence, or empty."""
        self.past_runs = 0
        """How many runs the log has; 0 until it was counted."""
        self.keys = KeyNames()
        """How the keys of the dashboard are named."""
        self.offer = NO_OFFER
        """What the session was opened with; an offer without a goal for an ordinary session."""

    def next_offer(self, *, any_goal: bool = False) -> GoalOffer | None:
        """Return what a dialog for a new goal contains at first; None, with a message why, if no goal can be given.

        `any_goal` says that a dialog which cannot contain the goal of `offer` is wanted.
        """
        if not self.offer.only:
            return NO_OFFER
        if self.store.run is None and not any_goal:
            return self.offer
        self.tell(self.offer.only)
        return None

    def _take(self, pane: str, shot: Screenshot | None) -> None:
        self.shots[pane] = shot
        self.store.changed.publish(frozenset({("shot", pane)}))

    def choose(self, kind: str, name: str, words: str = "") -> None:
        """Remember a theme or layout for the next session, and show a message with its name.

        The message says so if a setting will override it then. That it cannot be remembered is not reported.

        Args:
            kind: `theme` or `layout`.
            name: What was chosen.
            words: The text to show; the name if empty.
        """
        self.parts.choices.keep(kind, name)
        is_set = getattr(self.parts.settings, kind) is not None
        self.tell(
            f"{words or name}{' ─ until the dashboard is closed: your settings name another' if is_set else ''}",
            title=kind,
        )

    def layout(self, name: str) -> LayoutFile:
        """Read the layout of that name from its file, and return it.

        Raises:
            UsageError: The file cannot be read, or is not a layout.
            KeyError: There is no such layout.
        """
        return load_layout(self.layouts[name])

    async def command(self, command_type: str, **fields: Any) -> AnyReply | None:
        """Send a command of contract 5 to the hub, and return its reply.

        If it is refused, or no hub answers, show the error and return None.

        Args:
            command_type: For example `run:halt`.
            fields: The command's fields.
        """
        try:
            return await self.parts.hub.command(command_type, **fields)
        except AegisError as error:
            self.complain(error)
            return None

    async def reply(self, kind: type[T], command_type: str, **fields: Any) -> T | None:
        """Send a command as `command` does, and return its reply as a type of `aegis_tui.domain.wire.reply`.

        None after an error, which is shown.

        Args:
            kind: The type of the replies to this command; it is not checked.
            command_type: For example `run:start`.
            fields: The command's fields.
        """
        return cast("T | None", await self.command(command_type, **fields))

    def complain(self, error: AegisError) -> None:
        """Show an error for 8 seconds, in place of earlier messages, with its hint or that nothing was changed."""
        self._app.clear_notifications()
        message = inert(error.hint) if error.hint else "nothing was changed"
        self._app.notify(message, title=inert(error.message), severity="error", timeout=8, markup=False)

    def tell(self, words: str, *, title: str = "", is_error: bool = False) -> None:
        """Show a message, as an error if `is_error`, for 5 seconds, in place of earlier messages."""
        self._app.clear_notifications()
        severity: Literal["error", "information"] = "error" if is_error else "information"
        self._app.notify(inert(words), title=inert(title), severity=severity, timeout=5, markup=False)
