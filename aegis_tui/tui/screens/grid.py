"""A screen with several live panes at once."""

from __future__ import annotations

import math
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.widget import Widget

from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.model import Key
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.keys import KeyNames
from aegis_tui.tui.screens.actions import InstanceActions
from aegis_tui.tui.text import Span, fit
from aegis_tui.tui.views.instance import listed, state_of
from aegis_tui.tui.widgets.bars import Banner, BottomBar, TopBar
from aegis_tui.tui.widgets.line_view import LinePanel, LineView
from aegis_tui.tui.widgets.preview import PanePreview

LEAST_WIDTH = 50
LEAST_HEIGHT = 9
BARS_HEIGHT = 5
"""Lines that the bars above and below the panes take."""
KEYS = (
    ("esc", "back", "screen.back"),
    ("tab", "next pane", "app.focus_next"),
    ("a", "attach", "screen.attach"),
    ("s", "send", "screen.send"),
    ("x", "stop", "screen.stop"),
)


class GridScreen(InstanceActions):
    """A screen with the live panes of running instances, as many as fit with at least 50 × 9 cells each.

    A line below them names the instances whose panes do not fit; there is no such line if all do.
    """

    CSS_PATH = "grid.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "back", "Back", id="grid.back", tooltip="Go back to the dashboard."),
        Binding("l,right,j,down", "app.focus_next", "Next", id="grid.next", show=False, tooltip="Go to the next pane."),
        Binding(
            "h,left,k,up", "app.focus_previous", "Previous", id="grid.previous", show=False, tooltip="Go one pane back."
        ),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._cells: dict[str, PanePreview] = {}

    def compose(self) -> ComposeResult:
        """Yield the bars, and between them an empty grid, which is filled when the screen is there."""
        yield TopBar(self.desk)
        yield Banner(self.desk)
        yield Grid(id="panes")
        yield LineView(name_id="unshown")
        yield BottomBar(self.desk, KEYS, names=self.desk.keys.grid)

    def on_mount(self) -> None:
        """Subscribe to the store, and then fill the grid with panes."""
        super().on_mount()
        self.call_next(self._fill)

    async def on_resize(self) -> None:
        """Fill the grid again, because another number of panes may fit."""
        await self._fill()

    def _wanted(self) -> tuple[list[Instance], list[Instance]]:
        """Return the running instances whose panes fit, and those whose panes do not."""
        columns = max(1, self.app.size.width // LEAST_WIDTH)
        height = self.app.size.height - BARS_HEIGHT
        items = [item for item in listed(self.desk.store.workspace, self.desk.store.run) if item.is_alive]
        room = columns * max(1, height // LEAST_HEIGHT)
        if len(items) > room:  # the line that names the others takes room too
            room = columns * max(1, (height - 1) // LEAST_HEIGHT)
        return items[:room], items[room:]

    async def _fill(self) -> None:
        """Make the grid show the panes that fit, or that no agent is running, and name those that do not fit.

        The focus stays on the same instance if it is among them, else it goes to the first.
        """
        items, others = self._wanted()
        self._name_unshown(others, len(items))
        names = [item.agent_id for item in items]
        grid = self.query_one("#panes", Grid)
        if names != list(self._cells) or not names:
            focused = next((name for name, cell in self._cells.items() if cell is self.focused), "")
            await grid.remove_children()
            self._cells = {name: PanePreview() for name in names}
            cells: list[Widget] = list(self._cells.values()) or [_Nobody(self.desk.keys)]
            await grid.mount(*cells)
            target = self._cells.get(focused) or next(iter(self._cells.values()), None)
            if target is not None:
                target.focus()
        grid.styles.grid_size_columns = _columns(len(items), self.app.size.width)
        self._draw(items)

    def _name_unshown(self, others: list[Instance], shown: int) -> None:
        line, width = self.query_one("#unshown", LineView), self.app.size.width
        names = ", ".join(item.instance_id for item in others)
        words = f" {len(others)} of {shown + len(others)} panes not shown for lack of room: {names}"
        line.display = bool(others)
        line.show_lines([(Span(fit(words, width), "warn"),)] if others else [])

    def _draw(self, items: list[Instance]) -> None:
        if self.desk.watcher is not None and self.is_current:
            self.desk.watcher.want(item.pane for item in items if item.pane)
        for item in items:
            if item.agent_id not in self._cells:
                continue
            state = state_of(self.desk.store.workspace, item)
            label = f"{state.glyph} {item.instance_id} {item.piece or item.task} ─ {state.word}"
            if shot := self.desk.shots.get(item.pane or ""):
                self._cells[item.agent_id].show_pane(label, shot)
            else:
                self._cells[item.agent_id].show_words(label, "its pane is not open yet")

    async def _follow(self, keys: frozenset[Key]) -> None:
        if any(kind == "instance" for kind, _ in keys):
            await self._fill()
        elif any(kind == "shot" for kind, _ in keys):
            self._draw(self._wanted()[0])

    def on_store_changed(self, keys: frozenset[Key]) -> None:
        """Update the bars, then the panes if an instance or a pane has changed."""
        super().on_store_changed(keys)
        self.call_next(self._follow, keys)

    def current_instance(self) -> Instance | None:
        """Return the instance whose pane has the focus; None if none has."""
        name = next((name for name, cell in self._cells.items() if cell is self.focused), "")
        return self.desk.store.workspace.get_instance(name)

    def chosen_instances(self) -> list[Instance]:
        """Return the instance whose pane has the focus, in a list; empty if none has."""
        item = self.current_instance()
        return [item] if item else []

    @on(LinePanel.Chosen)
    def _attach_chosen(self) -> None:
        self.action_attach()

    def action_back(self) -> None:
        """Go back to the dashboard."""
        self.dismiss()


class _Nobody(LinePanel):
    """The panel that a grid without running instances shows; it says how to go back."""

    TITLE = "Grid"
    DEFAULT_CSS = "_Nobody { width: 1fr; column-span: 1; }"

    def __init__(self, keys: KeyNames) -> None:
        super().__init__()
        words = f"{keys.grid['esc']} goes back to the dashboard; press {keys['n']} there to enter a goal"
        self.EMPTY = ("no agent is running", words)

    def on_mount(self) -> None:
        """Take the focus, so that the keys of the grid work without a pane."""
        self.focus()

    def on_resize(self) -> None:
        """Show the text again, wrapped for the new width."""
        self.show([])


def _columns(count: int, width: int) -> int:
    """Return how many of `count` panes to show side by side in `width` cells, at least 1.

    The grid is as square as the width allows, with 50 cells at least for each pane.
    """
    return max(1, min(math.ceil(math.sqrt(max(1, count))), width // LEAST_WIDTH))
