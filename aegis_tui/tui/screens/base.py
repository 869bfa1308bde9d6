"""What the screens share: listening to the store, and going back."""

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
"""Time between two parts of the screen that are drawn; what a person does shows at once, beside this."""


class StoreView(Protocol):
    """A widget that shows something of the store."""

    LISTENS: ClassVar[frozenset[str]]

    def update_from_store(self) -> None:
        """Show the present state."""
        ...


def is_store_view(widget: object) -> TypeGuard[StoreView]:
    """Whether a widget is a `StoreView`; asked of every widget for every change, so by its class alone."""
    return hasattr(type(widget), "LISTENS")


def redraw(view: StoreView) -> None:
    """Let a view show the present state; one that cannot says so in its place."""
    if isinstance(view, LineView):
        view.attempt(view.update_from_store)
    else:
        view.update_from_store()


class WorkspaceScreen(Guarded, Screen[None]):
    """A screen over the store: hands each change to the widgets that listen to its kind and can be seen."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._due: dict[object, Callable[[], None]] = {}
        self._is_resting = False

    def on_mount(self) -> None:
        """Begin to listen."""
        keep_lines((self, *self.walk_children()))
        self.desk.store.changed.subscribe(self, self._listen)

    def _listen(self, keys: frozenset[Key]) -> None:
        """Textual passes over a listener that fails without a word."""
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
        """Hand changes on: all at once when the connection changed, else part by part."""
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
        """Draw a part of the screen: now, or in its turn when something was drawn a moment ago.

        Parts that are drawn together are painted together, and so is all that lies between them; a key would wait.
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
    """A question over the screen below; esc leaves it without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="dialog.back", tooltip="Go back without doing anything."),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def action_leave(self) -> None:
        """Go back without an answer."""
        self.dismiss(None)
