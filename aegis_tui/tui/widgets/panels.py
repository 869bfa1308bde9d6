"""The panels of the dashboard. Each shows a part of the store, and says which changes of the store concern it."""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import ClassVar

from textual.binding import Binding, BindingType

from aegis_tui.domain.event import Event
from aegis_tui.tui.keys import DEFAULT_KEYS, KeyNames
from aegis_tui.tui.store import WorkspaceStore
from aegis_tui.tui.text import Row
from aegis_tui.tui.views.conflict import conflict_rows
from aegis_tui.tui.views.event import event_line
from aegis_tui.tui.views.instance import TOTAL_KEY, instance_rows
from aegis_tui.tui.views.lock import lock_rows, partition_rows
from aegis_tui.tui.views.run import piece_rows
from aegis_tui.tui.widgets.line_view import LinePanel


class StorePanel(LinePanel):
    """The base of the panels that show a part of the state, which is in `store`. A subclass has `update_from_store`."""

    LISTENS: ClassVar[frozenset[str]] = frozenset()
    """Kinds of keys of the store whose change it has to show."""
    TICKS = False
    """Whether it shows running times, and is therefore updated every second."""

    def __init__(self, store: WorkspaceStore) -> None:
        self.store = store
        super().__init__(name_id=f"panel-{self.NAME}")

    def update_from_store(self) -> None:
        """Draw what the store has now. Every subclass implements it."""
        raise NotImplementedError

    def empty_words(self) -> tuple[str, ...]:
        """Return the lines for an empty panel: `EMPTY` or, before the state was read, that it is not."""
        return self.EMPTY if self.store.is_loaded else (self.store.absence,)

    def refilter(self) -> None:
        """Show the rows of what the store has now that match the filter."""
        self.update_from_store()

    def on_resize(self) -> None:
        """Draw the rows again, for the new width; called by Textual."""
        self.update_from_store()


class InstancePanel(StorePanel):
    """A panel with a row per instance: its state, progress, time and tokens; and a row with totals.

    Args:
        store: The state.
        keys: The names of the keys that the empty panel mentions.
    """

    NAME = "instances"
    TITLE = "Instances"
    LEADS = True
    LISTENS = frozenset({"instance", "run", "lock", "wait", "meters"})
    TICKS = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Select", id="instance.select", tooltip="Select or unselect the instance."),
    ]

    def __init__(self, store: WorkspaceStore, keys: KeyNames = DEFAULT_KEYS) -> None:
        super().__init__(store)
        self._is_steered = False
        self.EMPTY = (
            "",
            "No agents yet.",
            "",
            f"{keys['n']}  enter a goal: several agents build it, and the result is one commit",
            f"{keys['d']}  give one agent a single feature",
            f"{keys['?']}  every key      {keys[':']}  every command",
        )

    def empty_words(self) -> tuple[str, ...]:
        """Return what to press; while no hub is running without a word about agents, as nothing is known of them."""
        if self.store.is_loaded or self.store.is_catching_up:
            return super().empty_words()
        return self.EMPTY[2:]

    def update_from_store(self) -> None:
        """Draw the instances. The cursor stays on the first row until the person moves it, then on its instance."""
        store, run = self.store, self.store.run
        head, rows = instance_rows(
            store.workspace,
            run,
            now=store.now(),
            width=self.line_width,
            marked=self.marked,
            usage=store.usage,
        )
        items = list(store.workspace.instances.alive())
        most = f"/{run.options.workers}" if run is not None and run.is_open else ""
        self.titled(f"{len(items)}{most}" if rows else "")
        self.show_head(head if rows else ())
        self.show(rows)
        if not self._is_steered and self.cursor:
            self._go(0)

    def _steered(self) -> None:
        self._is_steered = True

    def action_mark(self) -> None:
        """Select or unselect the instance under the cursor, and move down; on the totals or no row, do nothing."""
        key = self.cursor_key
        if key and key != TOTAL_KEY:
            self.marked ^= {key}
            self.update_from_store()
            self.action_cursor_down()


class PartitionPanel(StorePanel):
    """A panel with a row per glob, which shows who may write there."""

    NAME = "partitions"
    TITLE = "Partitions"
    LISTENS = frozenset({"partition", "run", "instance"})
    EMPTY = ("no agent has a partition now", "a partition is what only one agent may write")

    def update_from_store(self) -> None:
        """Draw the partitions that the store has now."""
        self.titled()
        self.show(partition_rows(self.store.workspace, self.store.run, width=self.line_width))


class LockPanel(StorePanel):
    """A panel with a row per lock, and one per request that waits for a lock."""

    NAME = "locks"
    TITLE = "Locks"
    LISTENS = frozenset({"lock", "wait"})
    TICKS = True
    EMPTY = ("no locks are held", "agents lock a file that several may write")

    def update_from_store(self) -> None:
        """Draw the locks that the store has now, with their ages, and the requests that wait for them."""
        rows = lock_rows(self.store.workspace, now=self.store.now(), width=self.line_width)
        self.titled(len(self.store.workspace.locks.locks()) or "")
        self.show(rows)


class ConflictPanel(StorePanel):
    """A panel with a row per conflict of the run: a path that two pieces both change."""

    NAME = "conflicts"
    TITLE = "Conflicts"
    LISTENS = frozenset({"run"})
    EMPTY = ("no conflicts", "lines that two agents change are shown here while they work")

    def update_from_store(self) -> None:
        """Draw the conflicts that the run has now, open ones first."""
        rows = conflict_rows(self.store.run, width=self.line_width)
        self.titled(len(rows) or "")
        self.show(rows)


class PiecePanel(StorePanel):
    """A panel with a row per piece of the run, that is per feature of its design, and its status."""

    NAME = "pieces"
    TITLE = "Pieces"
    LISTENS = frozenset({"run"})
    EMPTY = ("no pieces yet", "each feature of the design becomes one")

    def update_from_store(self) -> None:
        """Draw the pieces that the run has now."""
        rows = piece_rows(self.store.run, width=self.line_width)
        self.titled(len(rows) or "")
        self.show(rows)


class EventPanel(StorePanel):
    """A panel with a row per event, newest last.

    The cursor follows the newest event unless the person has moved it to another row.
    """

    NAME = "events"
    TITLE = "Events"
    LISTENS = frozenset({"event"})
    EMPTY = ("nothing has happened yet",)

    def __init__(self, store: WorkspaceStore) -> None:
        super().__init__(store)
        self._made: deque[Row] = deque()
        self._made_of: deque[Event] = deque()
        self._made_for = 0

    def update_from_store(self) -> None:
        """Draw the events. If the cursor was on the last row, it goes to the newest event; else it stays on its row."""
        was_last = self.cursor >= len(self._rows_of_data) - 1
        self._make(self.line_width)
        self.titled(f"#{self.store.workspace.seq}" if self._made else "")
        self.show(self._made)
        if was_last and self._made:
            self._move(len(self._rows_of_data) - 1)

    def _make(self, width: int) -> None:
        events = self.store.events
        newest = self._made_of[-1] if self._made_of else None
        fresh = list(takewhile(lambda event: event is not newest, reversed(events)))
        kept = len(events) - len(fresh)
        if width != self._made_for or kept > len(self._made_of):
            fresh, kept, self._made_for = list(reversed(events)), 0, width
        while len(self._made_of) > kept:
            self._made_of.popleft()
            self._made.popleft()
        for event in reversed(fresh):
            self._made_of.append(event)
            self._made.append(Row(str(event.seq), event_line(event, width=width)))
