"""Base classes of the screens: one that follows the store, and one for dialogs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Protocol, TypeGuard, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from aegis_tui.domain.model import Key
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.mishap import Guarded, Survivor
from aegis_tui.tui.widgets.kept import keep_lines
from aegis_tui.tui.widgets.line_view import LinePanel, LineView

T = TypeVar("T")

TURN_S = 0.02
"""Seconds between drawing two parts of the screen. What a person's key changes is drawn at once all the same."""


class StoreView(Protocol):
    """The protocol of a widget that shows a part of the state, and is updated by its screen when that changes."""

    LISTENS: ClassVar[frozenset[str]]
    """Kinds of keys of the store whose change it has to show."""

    def update_from_store(self) -> None:
        """Draw what the store has now; called after a change of a kind in `LISTENS`."""
        ...


def is_store_view(widget: object) -> TypeGuard[StoreView]:
    """Return whether a widget is a `StoreView`, which is updated when the state changes.

    It is one if its class has an attribute `LISTENS`; no more is checked, as this runs for each widget on each change.
    """
    return hasattr(type(widget), "LISTENS")


def redraw(view: StoreView) -> None:
    """Call `update_from_store` of a view.

    If that fails in a `LineView`, the error is logged and shown in its place; an exception of another view is raised.
    """
    if isinstance(view, LineView):
        view.attempt(view.update_from_store)
    else:
        view.update_from_store()


class WorkspaceScreen(Guarded, Screen[None]):
    """A screen that shows the state: when that changes, it updates its visible widgets that show what has changed.

    `desk` has the state, and what else the session works with.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._due: dict[object, Callable[[], None]] = {}
        self._is_resting = False

    def on_mount(self) -> None:
        """Subscribe to the store: from now on, `on_store_changed` is called with the keys of what has changed.

        A failure there is shown. The widgets get a cache for their lines (`keep_lines`).
        """
        keep_lines((self, *self.walk_children()))
        self.desk.store.changed.subscribe(self, self._listen)

    def _listen(self, keys: frozenset[Key]) -> None:
        """Handle a change of the store; a failure is shown, where Textual would ignore it silently."""
        self._guarded(lambda: self.on_store_changed(keys))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            app: object = self.app
            if not isinstance(app, Survivor):
                raise
            app.survive(error, self)

    def on_store_changed(self, keys: frozenset[Key]) -> None:
        """Update the visible widgets whose `LISTENS` has the kind of one of these keys, one by one with short pauses.

        If the connection to the hub has changed (kind `connection`), update every visible one now, and hidden bars.
        """
        kinds = {kind for kind, _ in keys}
        is_everything = "connection" in kinds
        if is_everything:
            self._due.clear()
        for widget in self.walk_children():
            if not is_store_view(widget):
                continue
            is_hidden = isinstance(widget, LineView) and not widget.display
            if is_hidden and (isinstance(widget, LinePanel) or not is_everything):
                continue
            if is_everything:
                redraw(widget)
            elif not kinds.isdisjoint(widget.LISTENS):
                self.show_soon(widget, partial(redraw, widget))

    def show_soon(self, part: object, work: Callable[[], None]) -> None:
        """Call `work`, which draws a part of the screen, now, or in turn, `TURN_S` after a part that was drawn before.

        Textual repaints parts that change together, and all that lies between them, in one step; a key would have to
        wait for that. If `work` of an earlier call for the same part still waits, it is replaced. An exception of
        `work` is shown.
        """
        self._due[part] = work
        if not self._is_resting:
            self._show_next()

    def _show_next(self) -> None:
        self._is_resting = bool(self._due)
        if self._due:
            part = next(iter(self._due))
            self._guarded(self._due.pop(part))
            self.set_timer(TURN_S, self._show_next)


class Dialog(Guarded, ModalScreen[T]):
    """A dialog over the current screen, with a result of type T; esc closes it with the result None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="dialog.back", tooltip="Go back without doing anything."),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def action_leave(self) -> None:
        """Close the dialog with the result None."""
        self.dismiss(None)
