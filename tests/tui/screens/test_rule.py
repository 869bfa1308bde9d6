"""What the merge rules found waits for the person at the dashboard too (FLOW-9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aegis_tui.domain.piece.events import PieceChecked, PieceHeld
from aegis_tui.domain.rule.finding import RuleFinding
from tests.tui.conftest import Record
from tests.tui.pilot import ready, screen_text, to_the_end, until

FOUND = RuleFinding(rule="hooks", key="k1", file=".husky/pre\u202e-commit", msg="it changes a hook", severity="person")


def with_a_piece_that_waits(record: Record) -> Any:
    scene = record(until=101)
    event = scene.events[-1]
    assert isinstance(event.data, PieceChecked)
    held = PieceHeld(run=event.data.run, piece=event.data.piece, head_oid=event.data.head_oid, broken=(FOUND,))
    return type(scene)([*scene.events[:-1], replace(event, data=held)], scene.panes)


@to_the_end
@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("y", ("rule:allow", {"run": "run1", "keys": ["k1"]})),
        ("n", ("rule:refuse", {"run": "run1", "piece": "search"})),
        ("escape", None),
    ],
)
async def test_a_piece_that_waits_is_allowed_or_refused(record: Record, key: str, command: Any) -> None:
    scene = with_a_piece_that_waits(record)
    scene.hub.replies |= {"rule:allow": {"run": "run1", "keys": ["k1"]}, "rule:refuse": {"run": "run1"}}
    app = scene.app()
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await ready(pilot, app)
        assert "search waits until you allow or refuse this" in screen_text(app)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "Allow this in search?" in screen_text(app))
        assert "it changes a hook (hooks)" in screen_text(app) and "\u202e" not in screen_text(app)
        await pilot.press(key)
        await until(pilot, lambda: "Allow this in search?" not in screen_text(app))
        await pilot.pause()
    assert scene.hub.commands == ([command] if command else [])
