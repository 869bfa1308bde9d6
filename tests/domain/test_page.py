"""An answer that is too large is cut, and its cursor leads to the rest without loss (HUB-9)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.domain.context import snapshot_view
from aegis_tui.domain.core import Workspace
from aegis_tui.domain.message.model import PendingMessage
from aegis_tui.domain.page import SECTIONS, context_page, messages_page, section_page, size_of
from aegis_tui.errors import UsageError
from aegis_tui.sdk.context import whole_context

SIZES = st.lists(st.integers(0, 400), max_size=12)


def message(seq: int, size: int) -> PendingMessage:
    return PendingMessage(seq=seq, sender="a", to="b", text="é" * size, kind="note", context={}, timestamp="t")


@given(SIZES, st.integers(1, 2000))
def test_pages_of_messages_are_all_of_them_in_order(sizes: list[int], most: int) -> None:
    waiting = [message(seq, size) for seq, size in enumerate(sizes, start=1)]
    seen: list[int] = []
    after, more = 0, True
    while more:
        page = messages_page((item for item in waiting if item.seq > after), after, most=most)
        assert len(page["messages"]) <= 1 or size_of(page["messages"]) <= most + len(page["messages"]) + 2
        seen += [item["seq"] for item in page["messages"]]
        after, more = page["next_after"], page["more"]
    assert seen == [item.seq for item in waiting]


def view_of(names: dict[str, list[int]]) -> Any:
    """A context with entries of these sizes."""
    view: Any = snapshot_view(Workspace())
    view["run"] = {"run": "r", "pieces": [], "reviews": [], "conflicts": []}
    view["locks"] = {f"p{n}": {"x": "y" * size} for n, size in enumerate(names["locks"])}
    view["specs"] = {f"s{n}": {"x": "y" * size} for n, size in enumerate(names["specs"])}
    view["instances"] = [{"agent_id": f"i{n}", "x": "y" * size} for n, size in enumerate(names["instances"])]
    view["recent_changes"] = [{"file": "y" * size} for size in names["recent_changes"]]
    view["run"]["pieces"] = [{"name": f"n{n}", "x": "y" * size} for n, size in enumerate(names["pieces"])]
    return view


@settings(deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(("locks", "specs", "instances", "recent_changes", "pieces"), SIZES)),
    st.integers(200, 6000),
)
def test_a_client_puts_the_pages_of_the_context_together(names: dict[str, list[int]], most: int) -> None:
    view = view_of(names)
    asked: list[dict[str, Any]] = []

    async def ask(command_type: str, /, **fields: Any) -> Any:
        asked.append(fields)
        assert command_type == "context:get"
        if fields:
            page = section_page(view, fields["section"], fields.get("after", ""), most=most)
            assert page["entries"] and (len(page["entries"]) == 1 or size_of(page["entries"]) <= most + 2)
            return page
        first = context_page(view, most=most)
        bare = size_of({**view, **{name: [] for name in SECTIONS}, "run": {}})
        assert size_of(first) <= max(most, bare) + 40 * len(SECTIONS) + 200
        return first

    whole = asyncio.run(whole_context(ask))
    assert whole.keys() == view.keys()
    assert size_of(view) > most or len(asked) == 1
    for section in ("locks", "specs", "recent_changes"):
        assert whole[section] == view[section]
    assert sorted(map(str, whole["instances"])) == sorted(map(str, view["instances"]))
    assert sorted(map(str, whole["run"]["pieces"])) == sorted(map(str, view["run"]["pieces"]))


def test_a_context_that_fits_is_whole_and_says_nothing_of_pages() -> None:
    view = snapshot_view(Workspace())
    assert context_page(view) is view and "next" not in view


def test_only_sections_can_be_asked_for() -> None:
    view = snapshot_view(Workspace())
    with pytest.raises(UsageError, match="no section"):
        section_page(view, "tokens", "")
    assert section_page(view, "run.pieces", "")["entries"] == []
