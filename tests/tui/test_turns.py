"""What changes together is drawn part by part, so that a key need not wait for a whole screen (TUI-4, PERF-4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aegis_tui.tui.store import CONNECTION_KEY
from aegis_tui.tui.widgets.panels import ConflictPanel, LockPanel, PartitionPanel, StorePanel
from tests.tui.pilot import ready, to_the_end, until

Record = Callable[..., Any]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the panels in the order in which they looked at the store."""
    found: list[str] = []

    def noted(kind: type[StorePanel]) -> None:
        update = kind.update_from_store

        def look(panel: StorePanel) -> None:
            found.append(panel.NAME)
            update(panel)

        monkeypatch.setattr(kind, "update_from_store", look)

    for kind in (LockPanel, PartitionPanel, ConflictPanel):
        noted(kind)
    return found


@to_the_end
async def test_many_changes_at_once_draw_each_part_once_and_one_at_a_time(record: Record, drawn: list[str]) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        await until(pilot, lambda: not app.dashboard._is_resting)
        drawn.clear()
        for _ in range(50):
            app.dashboard.on_store_changed(frozenset({("lock", ""), ("partition", ""), ("run", "")}))
        assert len(drawn) <= 1, "the others have their turns"
        await until(pilot, lambda: len(set(drawn)) == 3 and not app.dashboard._is_resting)
        assert len(drawn) <= 2 * 3


@to_the_end
async def test_a_lost_connection_shows_everywhere_at_once(record: Record, drawn: list[str]) -> None:
    app = record(until=125).app()
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await ready(pilot, app)
        drawn.clear()
        app.dashboard.on_store_changed(frozenset({CONNECTION_KEY}))
        assert sorted(set(drawn)) == ["conflicts", "locks", "partitions"]
