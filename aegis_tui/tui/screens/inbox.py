"""A dialog with everything that waits for the person, oldest first, to choose what to answer next (WISH-8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.domain.need import Need, needs, waiting_since
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import Line, Row, Span, clock_text, fit
from aegis_tui.tui.widgets.line_view import LinePanel

_VERBS: Mapping[str, str] = {
    "design": "answer",
    "instance": "answer",
    "scope": "answer",
    "rule": "answer",
    "base": "accept",
    "piece": "leave out",
    "partial": "leave out",
    "machine": "see why",
    "halted": "continue",
}
"""Kind of need -> what Enter does."""


class InboxList(LinePanel):
    """A list with one row per need, oldest first; it shows the state at the time when it was opened."""

    NAME = "inbox"
    TITLE = "Waiting for you"
    EMPTY = ("nothing is waiting for you", "agents that ask, designs and gates that need you are listed here")

    def __init__(self, items: Sequence[tuple[Need, str | None]], *, now: datetime) -> None:
        super().__init__(name_id="inbox")
        self._items, self._now = items, now

    def on_resize(self) -> None:
        """Cut the lines to the new width."""
        self.attempt(self._fill)

    def _fill(self) -> None:
        self.titled(len(self._items) or "")
        width = self.line_width
        self.show([Row(row_key(need), need_line(need, since, self._now, width)) for need, since in self._items])


def row_key(need: Need) -> str:
    """Return the key of a need's row in the list, which no other row has: its kind and its key."""
    return f"{need.kind} {need.key}"


def need_line(need: Need, since: str | None, now: datetime, width: int) -> Line:
    """Return one line of `width` cells: how long it has waited, what waits, and what Enter does.

    `since` is RFC 3339 UTC, else ValueError; None, when the events that are kept do not go back so far, leaves the time
    empty.
    """
    waited = "" if since is None else clock_text(max(0.0, (now - datetime.fromisoformat(since)).total_seconds()))
    verb = _VERBS[need.kind]
    room = max(0, width - 10 - len(verb) - 1)
    return (Span(f"{waited:>8}  ", "muted"), Span(fit(need.words, room), "warn"), Span(f" {verb}", "muted"))


class InboxScreen(Dialog[Need | None]):
    """A dialog to choose what to answer; its result is that need, or None."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave", "Back", id="inbox.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        since = waiting_since(desk.store.events)
        items = [(need, since.get((need.kind, need.key))) for need in needs(desk.store.workspace)]
        self._by_key = {row_key(need): need for need, _ in items}
        self._list = InboxList(sorted(items, key=lambda item: item[1] or ""), now=desk.store.now())

    def compose(self) -> ComposeResult:
        """Yield a frame with the list."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = "Waiting for you, oldest first"
            dialog.border_subtitle = "enter answer · esc back"
            yield self._list

    def on_mount(self) -> None:
        """Give the list the focus."""
        self._list.focus()

    @on(LinePanel.Chosen)
    def _choose(self, message: LinePanel.Chosen) -> None:
        self.dismiss(self._by_key[message.key])
