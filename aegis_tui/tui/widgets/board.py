"""The board: the container of the panels, which places them as a layout file says."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Container
from textual.geometry import NULL_OFFSET, NULL_SPACING, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from aegis_tui.tui.board import PANELS, TABS, LayoutFile, place
from aegis_tui.tui.widgets.line_view import LinePanel
from aegis_tui.tui.widgets.panels import StorePanel


class BoardLayout(Layout):
    """A Textual layout that places the panels of a `Board` as its layout file says."""

    name = "board"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Return region and widget of each panel that has a place; called by Textual.

        Args:
            parent: The board; for any other widget, and for an empty area, nothing is placed.
            children: Its panels.
            size: The area to fill.
            greedy: Ignored; Textual passes it.
        """
        if not isinstance(parent, Board) or not size:
            return []
        regions = place(parent.layout_file.view_for(parent.app.size.width), size)
        placements = []
        for child in children:
            region = regions.get(parent.slot_of(child))
            if region is not None:
                placements.append(WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child))
        return placements


class Board(Container):
    """A container with all panels, which a layout arranges: it has views, each for screens of some width.

    The view for the current width has a place for some panels. The others share its place `tabs`, one at a time, or are
    hidden if it has no such place.

    Args:
        panels: All panels of the dashboard.
        layout_file: The layout.
    """

    DEFAULT_CSS = """
    Board { height: 1fr; overflow: hidden; }
    """

    def __init__(self, panels: Sequence[LinePanel], layout_file: LayoutFile) -> None:
        super().__init__(*panels, id="board")
        self.panels = {panel.NAME: panel for panel in panels}
        self.layout_file = layout_file
        self._tab = ""
        self._placing = BoardLayout()

    @property
    def layout(self) -> Layout:
        """The layout of the panels; overridden because Textual's styles only accept its own layouts."""
        return self._placing

    @property
    def placed(self) -> list[str]:
        """Names of the panels that have a place of their own at the current width, in the order of the layout."""
        return [name for name in self.layout_file.view_for(self.app.size.width).placed() if name != TABS]

    @property
    def tabs(self) -> list[str]:
        """Names of the panels that share the place `tabs` at the current width; empty if there is no such place."""
        placed = self.placed
        has_slot = TABS in self.layout_file.view_for(self.app.size.width).placed()
        return [name for name in PANELS if name not in placed] if has_slot else []

    def slot_of(self, child: Widget) -> str:
        """Return the name of the place of a panel: its own name if it has its own place, else `tabs`."""
        name = child.NAME if isinstance(child, LinePanel) else ""
        return name if name in self.placed else TABS

    def shown(self) -> list[LinePanel]:
        """Return the panels that are not hidden by the layout now."""
        return [panel for panel in self.panels.values() if panel.display]

    def reachable(self) -> list[str]:
        """Return the names of the panels that can be shown at the current width, in the order of the tab key."""
        tabs = self.tabs
        return [name for name in PANELS if name in self.placed or name in tabs]

    def rearrange(self) -> None:
        """Show and hide panels as the layout says for the current width; panels that appear are updated.

        In the place `tabs`, the panel that was shown stays if it is still one of them; else `events` or the first is.
        """
        placed, tabs = self.placed, self.tabs
        if self._tab not in tabs:
            self._tab = "events" if "events" in tabs else (tabs[0] if tabs else "")
        for name, panel in self.panels.items():
            was_shown, panel.display = panel.display, name in placed or name == self._tab
            panel.neighbours = tuple(tabs) if name in tabs and len(tabs) > 1 else ()
            if panel.display and not was_shown and isinstance(panel, StorePanel):
                panel.update_from_store()  # hidden panels are not updated, and a key may come before the layout
        self.refresh(layout=True)

    def bring(self, name: str) -> None:
        """Show the panel with this name and focus it; if there is no place for it at the current width, do nothing."""
        if name in self.tabs and name != self._tab:
            self._tab = name
            self.rearrange()
        if name in self.reachable():
            self.panels[name].focus()

    def use(self, layout_file: LayoutFile) -> None:
        """Arrange the panels by another layout, at once and until the next call; it is not saved."""
        self.layout_file = layout_file
        self.rearrange()
