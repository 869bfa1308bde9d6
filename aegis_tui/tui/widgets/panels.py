"""The panels of the dashboard. Each knows which keys it listens to and shows one view of the store."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from aegis_tui.tui.store import WorkspaceStore
from aegis_tui.tui.views.conflict import conflict_rows
from aegis_tui.tui.views.event import event_rows
from aegis_tui.tui.views.instance import TOTAL_KEY, instance_rows
from aegis_tui.tui.views.lock import lock_rows, partition_rows
from aegis_tui.tui.views.run import piece_rows
from aegis_tui.tui.widgets.line_view import LinePanel


class StorePanel(LinePanel):
    """A panel over the store."""

    LISTENS: ClassVar[frozenset[str]] = frozenset()
    """Kinds of keys that change what it shows."""
    TICKS = False
    """It shows times that run: once a second it looks again."""

    def __init__(self, store: WorkspaceStore) -> None:
        self.store = store
        super().__init__(id=f"panel-{self.NAME}")

    def update_from_store(self) -> None:
        """Show the present state."""
        raise NotImplementedError

    def refilter(self) -> None:
        """Show again, by the filter that holds now."""
        self.update_from_store()

    def on_resize(self) -> None:
        """Lines are cut to the new width."""
        self.update_from_store()


class InstancePanel(StorePanel):
    """Every instance with its state, progress, time and tokens."""

    NAME = "instances"
    TITLE = "Instances"
    LISTENS = frozenset({"instance", "run", "lock", "wait", "meters"})
    TICKS = True
    EMPTY = (
        "",
        "No agents yet.",
        "",
        "n  give a goal: it is split, built by several agents, and becomes one commit",
        "d  dispatch a single feature to one agent",
        "?  every key      :  every command",
    )
    BINDINGS: list[BindingType] = [
        Binding("space", "mark", "Select", id="instance.select", tooltip="Select or unselect the instance."),
    ]

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        store, run = self.store, self.store.run
        head, rows = instance_rows(
            store.workspace,
            run,
            now=store.now(),
            width=self.size.width,
            marked=self.marked,
            usage=store.usage,
        )
        items = list(store.workspace.instances.alive())
        most = f"/{run.options.workers}" if run is not None and run.is_open else ""
        self.titled(f"{len(items)}{most}" if rows else "")
        self.show_head(head if rows else ())
        self.show(rows)

    def action_mark(self) -> None:
        """Select or unselect the row, and go on to the next."""
        key = self.cursor_key
        if key and key != TOTAL_KEY:
            self.marked ^= {key}
            self.update_from_store()
            self.action_cursor_down()


class PartitionPanel(StorePanel):
    """Who may write where."""

    NAME = "partitions"
    TITLE = "Partitions"
    LISTENS = frozenset({"partition", "run", "instance"})
    EMPTY = ("nobody owns a path yet", "a design gives each agent its own")

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        self.titled()
        self.show(partition_rows(self.store.workspace, self.store.run, width=self.size.width))


class LockPanel(StorePanel):
    """Locks and who waits for them."""

    NAME = "locks"
    TITLE = "Locks"
    LISTENS = frozenset({"lock", "wait"})
    TICKS = True
    EMPTY = ("no locks are held", "joint files are written under one")

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        rows = lock_rows(self.store.workspace, now=self.store.now(), width=self.size.width)
        self.titled(len(self.store.workspace.locks.locks()) or "")
        self.show(rows)


class ConflictPanel(StorePanel):
    """Lines that two pieces both changed."""

    NAME = "conflicts"
    TITLE = "Conflicts"
    LISTENS = frozenset({"run"})
    EMPTY = ("no conflicts", "crossing lines show here while agents still work")

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        rows = conflict_rows(self.store.run, width=self.size.width)
        self.titled(len(rows) or "")
        self.show(rows)


class PiecePanel(StorePanel):
    """Pieces on their way to the working ref."""

    NAME = "pieces"
    TITLE = "Pieces"
    LISTENS = frozenset({"run"})
    EMPTY = ("no pieces yet", "each feature of the design becomes one")

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        rows = piece_rows(self.store.run, width=self.size.width)
        self.titled(len(rows) or "")
        self.show(rows)


class EventPanel(StorePanel):
    """What happened, newest last; it follows the end until the cursor leaves it."""

    NAME = "events"
    TITLE = "Events"
    LISTENS = frozenset({"event"})
    EMPTY = ("nothing has happened yet",)

    def update_from_store(self) -> None:
        """As `StorePanel.update_from_store`."""
        was_last = self.cursor >= len(self._rows_of_data) - 1
        rows = event_rows(self.store.events, width=self.size.width)
        self.titled(f"#{self.store.workspace.seq}" if rows else "")
        self.show(rows)
        if was_last and rows:
            self._move(len(rows) - 1)
