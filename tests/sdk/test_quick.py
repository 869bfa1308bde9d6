"""The synchronous client: pages of events."""

from __future__ import annotations

from typing import Any

import pytest

from aegis_tui.sdk.quick import HubAddress, HubQuick


def test_pages_in_which_nothing_may_be_seen_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of others' messages is no end of the log: callers take an empty page for that."""
    asked: list[str] = []
    pages: list[dict[str, Any]] = [
        {"events": [], "next_after": 1_000},
        {"events": [], "next_after": 2_000},
        {"events": [{"seq": 2_001}], "next_after": 3_000},
        {"events": [], "next_after": 3_000},
    ]

    def call(_self: HubQuick, _method: str, target: str) -> dict[str, Any]:
        asked.append(target.partition("?after=")[2].partition("&")[0])
        return pages[len(asked) - 1]

    monkeypatch.setattr(HubQuick, "_call", call)
    hub = HubQuick(HubAddress(1, 1.0, "http://x", "/x", "t"))
    assert hub.events(after=0) == [{"seq": 2_001}]
    assert hub.events(after=3_000) == []
    assert asked == ["0", "1000", "2000", "3000"]
