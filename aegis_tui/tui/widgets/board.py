"""The board: panels placed by a layout file."""

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
    """Places the panels of a `Board` where its layout file says."""

    name = "board"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """The placement of each panel that is shown; called by Textual."""
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
    """All panels, of which the present view shows some; those without a place share the slot `tabs`."""

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
        """Where the panels lie; Textual's styles know only its own layouts."""
        return self._placing

    @property
    def placed(self) -> list[str]:
        """Names of the panels that have a place of their own."""
        return [name for name in self.layout_file.view_for(self.app.size.width).placed() if name != TABS]

    @property
    def tabs(self) -> list[str]:
        """Names of the panels that share the slot `tabs`."""
        placed = self.placed
        has_slot = TABS in self.layout_file.view_for(self.app.size.width).placed()
        return [name for name in PANELS if name not in placed] if has_slot else []

    def slot_of(self, child: Widget) -> str:
        """The slot that a panel is in."""
        name = child.NAME if isinstance(child, LinePanel) else ""
        return name if name in self.placed else TABS

    def shown(self) -> list[LinePanel]:
        """The panels that can be seen."""
        return [panel for panel in self.panels.values() if panel.display]

    def reachable(self) -> list[str]:
        """Every panel that this view can show, in the order of `tab`."""
        tabs = self.tabs
        return [name for name in PANELS if name in self.placed or name in tabs]

    def rearrange(self) -> None:
        """Show what the view for the present width shows."""
        placed, tabs = self.placed, self.tabs
        if self._tab not in tabs:
            self._tab = "events" if "events" in tabs else (tabs[0] if tabs else "")
        for name, panel in self.panels.items():
            was_shown, panel.display = panel.display, name in placed or name == self._tab
            panel.neighbours = tuple(tabs) if name in tabs and len(tabs) > 1 else ()
            if panel.display and not was_shown and isinstance(panel, StorePanel):
                panel.update_from_store()  # it does not listen while it is hidden, and a key may come before its layout
        self.refresh(layout=True)

    def bring(self, name: str) -> None:
        """Show a panel and put the focus on it."""
        if name in self.tabs and name != self._tab:
            self._tab = name
            self.rearrange()
        if name in self.reachable():
            self.panels[name].focus()

    def use(self, layout_file: LayoutFile) -> None:
        """Take another layout."""
        self.layout_file = layout_file
        self.rearrange()
