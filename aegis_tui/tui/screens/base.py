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
    """A widget that shows a part of the store."""

    LISTENS: ClassVar[frozenset[str]]
    """Kinds of keys of the store whose change it has to show."""

    def update_from_store(self) -> None:
        """Show the current state of the store."""
        ...


def is_store_view(widget: object) -> TypeGuard[StoreView]:
    """Return whether a widget has the form of a `StoreView`: updated by `update_from_store` when the store changes.

    Only its class is checked, as this runs for each widget on each change.
    """
    return hasattr(type(widget), "LISTENS")


def redraw(view: StoreView) -> None:
    """Let a view show the current state of the store.

    A `LineView` that fails shows the error in its place; an exception of any other view is raised.
    """
    if isinstance(view, LineView):
        view.attempt(view.update_from_store)
    else:
        view.update_from_store()


class WorkspaceScreen(Guarded, Screen[None]):
    """A screen that follows the store: it updates the visible widgets that listen to what has changed."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._due: dict[object, Callable[[], None]] = {}
        self._is_resting = False

    def on_mount(self) -> None:
        """Follow the store: from now on, `on_store_changed` is called with the keys of what has changed."""
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
        """Update the visible widgets that listen to one of these kinds of keys, one by one.

        If the connection to the hub changed, update all of them at once.
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
        """Call `work`, which draws a part of the screen, now, or after `TURN_S` if another part was drawn just before.

        Textual repaints parts that change together, and all that lies between them, in one step; a key would have to
        wait for that. A second call for the same part replaces the first one if that is still waiting.
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
    """A dialog over the current screen; esc closes it with the result None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="dialog.back", tooltip="Go back without doing anything."),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def action_leave(self) -> None:
        """Close the dialog with the result None."""
        self.dismiss(None)
