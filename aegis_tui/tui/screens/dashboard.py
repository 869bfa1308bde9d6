"""The dashboard: one screen with the state of a workspace, and its keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import Input

from aegis_tui.domain.instance.belief import SourceReading, of_hub
from aegis_tui.domain.instance.model import Instance
from aegis_tui.domain.model import Key
from aegis_tui.errors import AegisError
from aegis_tui.tui.board import DEFAULT_LAYOUT
from aegis_tui.tui.desk import Desk
from aegis_tui.tui.screens.base import WorkspaceScreen, is_store_view, redraw
from aegis_tui.tui.screens.needing import NeedActions
from aegis_tui.tui.screens.why import Render, WhyScreen
from aegis_tui.tui.text import Line
from aegis_tui.tui.views.conflict import conflict_lines
from aegis_tui.tui.views.explain import explain_instance, explain_lock, explain_partition, explain_piece
from aegis_tui.tui.views.instance import TOTAL_KEY
from aegis_tui.tui.views.small import is_too_small
from aegis_tui.tui.widgets.bars import Banner, BottomBar, SmallView, TopBar
from aegis_tui.tui.widgets.board import Board
from aegis_tui.tui.widgets.line_view import LinePanel
from aegis_tui.tui.widgets.panels import (
    ConflictPanel,
    EventPanel,
    InstancePanel,
    LockPanel,
    PartitionPanel,
    PiecePanel,
    StorePanel,
)
from aegis_tui.tui.widgets.preview import PanePreview

KEYS = (
    ("n", "goal", "screen.new_goal"),
    ("a", "attach", "screen.attach"),
    ("s", "send", "screen.send"),
    ("x", "stop", "screen.stop"),
    ("!", "needs you", "screen.next_need"),
    ("v", "grid", "screen.grid"),
    ("/", "filter", "screen.filter"),
    ("tab", "panel", "screen.next_panel"),
    ("?", "help", "screen.help"),
    ("q", "leave", "screen.close"),
)
TICK_S = 1.0
FRESH_S = 30.0
"""Seconds after the end of a run in which the person is notified of it."""


class DashboardScreen(NeedActions, WorkspaceScreen):
    """The screen with instances, partitions, locks, conflicts, pieces, events and a live pane.

    Args:
        desk: What the session works with.
        layout: Name of a layout file.

    Raises:
        UsageError: The layout file cannot be read, or is not a layout.
        KeyError: There is no layout file of that name.
    """

    CSS_PATH = "dashboard.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "grid", "Grid", id="instance.grid", tooltip="Show several panes at once."),
        Binding("tab", "next_panel", "Next panel", id="panel.next", show=False, tooltip="Go to the next panel."),
        Binding(
            "shift+tab",
            "previous_panel",
            "Previous panel",
            id="panel.previous",
            show=False,
            tooltip="Go one panel back.",
        ),
        Binding("l,right", "next_panel", "Next panel", id="panel.right", show=False, tooltip="Go to the next panel."),
        Binding(
            "h,left", "previous_panel", "Previous panel", id="panel.left", show=False, tooltip="Go one panel back."
        ),
        Binding("slash", "filter", "Filter", id="panel.filter", tooltip="Show only rows that contain certain words."),
        Binding("escape", "back", "Back", id="panel.back", show=False, tooltip="Clear the filter, then the selection."),
        Binding("L", "next_layout", "Layout", id="view.layout", tooltip="Change to the next layout."),
        Binding("question_mark", "help", "Help", id="view.help", tooltip="List the keys of this screen."),
        Binding("q", "close", "Leave", id="view.leave", tooltip="Exit aegis-tui; agents continue."),
    ]

    def __init__(self, desk: Desk, *, layout: str = DEFAULT_LAYOUT) -> None:
        super().__init__(desk)
        store = desk.store
        self.instances = InstancePanel(store, desk.keys)
        self.instances.moved = partial(self._guarded, self.follow_cursor)
        self.preview = PanePreview(name_id="panel-preview")
        self._layout_name = layout
        self._watched = ""
        panels: list[LinePanel] = [
            self.instances,
            self.preview,
            PartitionPanel(store),
            LockPanel(store),
            ConflictPanel(store),
            EventPanel(store),
            PiecePanel(store),
        ]
        self.small = SmallView(desk)
        self.board = Board(panels, desk.layout(layout))

    def compose(self) -> ComposeResult:
        """Yield the bars, and between them the board with the panels; also the small view and the filter, hidden."""
        yield TopBar(self.desk)
        yield Banner(self.desk)
        yield self.small
        yield self.board
        yield Input(placeholder="words to look for; enter keeps the filter, esc clears it", id="filter")
        yield BottomBar(self.desk, KEYS)

    def on_mount(self) -> None:
        """Draw all panels, give the instances the focus, and begin to update running times once a second."""
        super().on_mount()
        self._fit()
        self.instances.focus()
        self.set_interval(TICK_S, self._tick)
        self._refresh_all()

    def _refresh_all(self) -> None:
        for widget in self.walk_children():
            if is_store_view(widget):
                redraw(widget)
        self.follow_cursor()

    def on_resize(self, event: Resize) -> None:
        """Arrange the panels for the new size, or show the small view if it is too small."""
        self._fit()

    def _fit(self) -> None:
        """Show the board, arranged for the current width, or the small view if the terminal is too small for it."""
        is_small = is_too_small(self.app.size.width, self.app.size.height)
        self.board.display = not is_small
        self.small.set_class(is_small, "-shown")
        self.board.rearrange()
        if is_small:
            redraw(self.small)
        elif self.focused is None:
            self.instances.focus()

    def _tick(self) -> None:
        run = self.desk.store.run
        if run is None or not run.is_open:
            return
        for panel in self.board.shown():
            if isinstance(panel, StorePanel) and panel.TICKS:
                redraw(panel)

    def on_store_changed(self, keys: frozenset[Key]) -> None:
        """Update the widgets that show what has changed, and notify the person if the run has ended."""
        super().on_store_changed(keys)
        if any(kind in ("instance", "shot", "run") for kind, _ in keys):
            self.show_soon(self.preview, self.follow_cursor)
        self._tell_end()

    def _tell_end(self) -> None:
        """Ring the bell and show a message, once, when a run that was active on this screen has ended (TUI-5).

        Not if it ended more than `FRESH_S` (30 s) ago, by the log.
        """
        store = self.desk.store
        if (run := store.workspace.runs.current()) is not None:
            self._watched = run.run
        elif self._watched in store.reports and store.events:
            name, self._watched = self._watched, ""
            age_s = (store.now() - datetime.fromisoformat(store.events[-1].timestamp)).total_seconds()
            if age_s < FRESH_S:
                self.app.bell()
                self.desk.tell(f"{self.desk.keys['r']} shows the report", title=f"{name} has ended")

    # The instance under the cursor

    def current_instance(self) -> Instance | None:
        """Return the instance under the cursor of the table; None if there is none, as on the row with the totals."""
        return self.desk.store.workspace.get_instance(self.instances.cursor_key)

    def chosen_instances(self) -> list[Instance]:
        """Return the selected instances; if none is selected, the one under the cursor; empty if there is none."""
        names = self.instances.marked or {self.instances.cursor_key}
        instances = [self.desk.store.workspace.get_instance(name) for name in sorted(names)]
        return [item for item in instances if item is not None]

    def follow_cursor(self) -> None:
        """Show the pane of the instance under the cursor in the preview, or say why not; watch this pane only.

        Watch none if the preview is hidden or there is no open pane; while another screen is shown, change nothing in
        what is watched.
        """
        item, watcher = self.current_instance(), self.desk.watcher
        seen = item is not None and item.is_alive and item.pane and self.preview.display
        if watcher is not None and self.is_current:
            watcher.want([item.pane] if seen and item and item.pane else [])
        if item is None:
            self.preview.show_words("", "there is no instance under the cursor")
            return
        label = f"{item.instance_id} {item.piece or item.task}"
        shot = self.desk.shots.get(item.pane or "")
        if not item.is_alive:
            self.preview.show_words(label, f"{item.instance_id} has ended; {self.desk.keys['t']} shows what it did")
        elif shot is not None:
            self.preview.show_pane(label, shot, of=item.agent_id)
        else:
            self.preview.show_words(label, "its pane is not open yet" if not item.pane else "its pane cannot be shown")

    @on(LinePanel.Chosen)
    def _explain_row(self, message: LinePanel.Chosen) -> None:
        self.explain(message.panel.NAME, message.key)

    def explain(self, panel: str, key: str) -> None:
        """Open a page that explains a row.

        If a lock is gone meanwhile, the page says so. None is opened for an instance, conflict or piece that is gone,
        nor for an unknown panel.

        Args:
            panel: The `NAME` of the panel, such as `locks`.
            key: The `key` of the row in it, such as the id of a lock.
        """
        store, run = self.desk.store, self.desk.store.run
        if panel == "instances" and (item := store.workspace.get_instance(key)):
            self._explain_instance(item)
        elif panel == "instances" and key == TOTAL_KEY:
            self.action_why_stage()
        elif panel == "locks":
            lock_id = key if not key.startswith("wait/") else self._lock_waited_for(key)
            self._page(
                "Lock", lambda width: explain_lock(store.workspace, lock_id, now=store.now(), keys=self.desk.keys)
            )
        elif panel == "conflicts" and run is not None and (conflict := run.conflicts.get(key)):
            title = f"{conflict.a} × {conflict.b} in {conflict.path}"
            self._page(title, lambda width: conflict_lines(run.conflicts.get(key, conflict), run, width=width))
        elif panel == "pieces" and run is not None and key in run.pieces:
            self._page(f"Piece {key}", lambda width: explain_piece(run, key))
        elif panel == "events":
            self.explain_event(key)
        elif panel == "partitions":
            owner = key.partition("/")[0]
            self._page("Partition", lambda width: explain_partition(store.workspace, run, owner))

    def _explain_instance(self, item: Instance) -> None:
        """Open the page for an instance, and add what its sources say now as soon as they were asked."""
        store = self.desk.store
        readings: list[SourceReading] = [of_hub(answers=store.is_connected)] if store.was_connected else []

        def render(width: int) -> list[Line]:
            newest = store.workspace.get_instance(item.agent_id) or item
            return explain_instance(
                store.workspace, newest, store.events, now=store.now(), width=width, readings=readings
            )

        again = self.action_attach if item.is_alive and item.pane else None
        self._page(f"The state of {item.instance_id}", render, again=again)
        self.ask_sources(item, readings)

    @work(group="sources", exclusive=True)
    async def ask_sources(self, item: Instance, readings: list[SourceReading]) -> None:
        """Append what the process, title and screen of an instance say now to `readings`, and draw its page again."""
        readings += await asyncio.to_thread(self.desk.parts.history.readings, item)
        self.desk.store.changed.publish(frozenset({("instance", item.agent_id)}))

    def _page(self, title: str, render: Render, again: Callable[[], None] | None = None) -> None:
        self.app.push_screen(WhyScreen(self.desk, title, render, again=again))

    def _lock_waited_for(self, key: str) -> str:
        _, agent_id, request_id = key.split("/", 2)
        locks = self.desk.store.workspace.locks
        wait = locks.waiting(agent_id, request_id)
        holder = next(locks.holders_against(wait), None) if wait else None
        return holder.lock_id if holder else ""

    # Panels, filter, layout

    def action_next_panel(self) -> None:
        """Focus the next panel, after the last the first; one hidden behind others in its place is shown first."""
        self._turn(1)

    def action_previous_panel(self) -> None:
        """Focus the previous panel, before the first the last; one hidden behind others in its place is shown first."""
        self._turn(-1)

    def _turn(self, step: int) -> None:
        names = self.board.reachable()
        now = self.focused.NAME if isinstance(self.focused, LinePanel) else ""
        at = (names.index(now) + step) % len(names) if now in names else 0
        self.board.bring(names[at])
        panel = self.board.panels[names[at]]
        if isinstance(panel, StorePanel):
            redraw(panel)
        self.follow_cursor()

    def action_filter(self) -> None:
        """Open the field for the filter of the focused panel; if none has the focus, or the preview has, do nothing."""
        if isinstance(self.focused, StorePanel):
            field = self.query_one("#filter", Input)
            field.value = self.focused.needle
            self._filtered = self.focused
            field.add_class("-shown")
            field.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, message: Input.Changed) -> None:
        if message.input.has_class("-shown"):
            self._filtered.filter(message.value)

    @on(Input.Submitted, "#filter")
    def _filter_kept(self) -> None:
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).remove_class("-shown")
        self._filtered.focus()

    def action_back(self) -> None:
        """Close and clear the filter if its field is open; else clear the filter, else the selection, if any."""
        if self.query_one("#filter", Input).has_class("-shown"):
            self._filtered.filter("")
            self._close_filter()
        elif isinstance(self.focused, StorePanel) and self.focused.needle:
            self.focused.filter("")
        elif self.instances.marked:
            self.instances.marked.clear()
            self.instances.update_from_store()

    def action_grid(self) -> None:
        """Open the screen with several live panes, over the dashboard."""
        from aegis_tui.tui.screens.grid import GridScreen

        self.app.push_screen(GridScreen(self.desk))

    def action_next_layout(self) -> None:
        """Change to the next layout, and remember it; if its file is wrong, show the error and keep the layout."""
        names = sorted(self.desk.layouts)
        at = names.index(self._layout_name) if self._layout_name in names else -1
        name = names[(at + 1) % len(names)]
        try:
            layout = self.desk.layout(name)
        except AegisError as error:
            self.desk.complain(error)
            return
        self._layout_name = name
        self.board.use(layout)
        self._refresh_all()
        self.desk.choose("layout", name, f"{name}: {layout.title}")

    def bring_instance(self, agent_id: str) -> None:
        """Show the list of instances with the cursor on this one."""
        self.board.bring("instances")
        self.instances.move_to(agent_id)
