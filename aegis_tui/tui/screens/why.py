"""A dialog with a page of lines: why an instance has its state, why a gate is closed, where two pieces conflict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from aegis_tui.domain.model import Key
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import Dialog
from aegis_tui.tui.text import Line, fold
from aegis_tui.tui.widgets.line_view import LineView

Render = Callable[[int], Sequence[Line]]
"""Returns the lines of a page for a width in cells."""


INDENT = 14
"""Indent of the rest of a line that is too long: the second column of an explanation."""


class Page(LineView, can_focus=True):
    """A widget with lines that scroll with the same keys as lists.

    `render` returns the lines for a width in cells; they are first drawn when the size of the widget is known.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "Down", id="page.down", show=False, tooltip="Scroll one line down."),
        Binding("up,k", "scroll_up", "Up", id="page.up", show=False, tooltip="Scroll one line up."),
        Binding("home,g", "scroll_home", "Top", id="page.top", show=False, tooltip="Scroll to the top."),
        Binding("end,G", "scroll_end", "End", id="page.end", show=False, tooltip="Scroll to the end."),
    ]
    DEFAULT_CSS = "Page { height: 1fr; }"

    def __init__(self, render: Render) -> None:
        super().__init__(name_id="page")
        self._lines = render

    def fill(self) -> None:
        """Render the lines again and show them; if that fails, show the error in their place.

        If the page is not wider than `INDENT` (14) cells, as before its first layout, do nothing.
        """
        self.attempt(self._fill)

    def _fill(self) -> None:
        width = self.line_width
        if width > INDENT:
            self.show_lines([part for line in self._lines(width) for part in fold(line, width, indent=INDENT)])

    def on_resize(self) -> None:
        """Render the lines again, for the new width; called by Textual."""
        self.fill()


class WhyScreen(Dialog[None]):
    """A dialog with a page of lines, which is rendered again when the state changes.

    Args:
        desk: What the session works with.
        title: The title of the dialog.
        render: Returns the lines of the page for a width in cells. If it raises, the page shows the error.
        again: Called after the dialog was closed with Enter; with None, Enter only closes it.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "again", "Go on", id="why.again", show=False, tooltip="Attach to the instance, or go back."),
        Binding("q", "leave", "Back", id="why.back", show=False, tooltip="Go back."),
    ]

    def __init__(self, desk: Desk, title: str, render: Render, *, again: Callable[[], None] | None = None) -> None:
        super().__init__(desk)
        self._title, self._lines, self._again = title, render, again

    def compose(self) -> ComposeResult:
        """Yield a frame with the page."""
        with Vertical(classes="dialog -wide") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = f"{'enter attach · ' if self._again else ''}esc back · j k scroll"
            yield Page(self._lines)

    def on_mount(self) -> None:
        """Subscribe to changes of the store, so that the page stays up to date."""
        self.desk.store.changed.subscribe(self, self._changed)

    def action_again(self) -> None:
        """Close the dialog, and then call the constructor's `again`, if there is one."""
        self.dismiss(None)
        if self._again is not None:
            self.app.call_later(self._again)

    def _changed(self, keys: frozenset[Key]) -> None:
        if any(kind != "shot" for kind, _ in keys):
            self.query_one(Page).fill()
