"""What a program reports over ACP is shown once, and nothing that it sends stops the view (AGENT-3)."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.agent.hosted.acp_permission import _options_in
from aegis_tui.agent.hosted.acp_view import AcpView, Act
from aegis_tui.agent.pane import Pane
from aegis_tui.agent.screen import Screen

NAMES = st.sampled_from(
    [
        *("sessionUpdate", "content", "text", "type", "title", "kind", "status", "toolCallId", "locations", "path"),
        *("entries", "used", "size", "oldText", "newText", "optionId", "name"),
    ]
)
WORDS = st.sampled_from(
    ["agent_message_chunk", "tool_call", "tool_call_update", "plan", "usage_update", "diff", "content", "edit", "x"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6))
UPDATES = st.builds(
    lambda kind, fields: {**fields, "sessionUpdate": kind}, WORDS, st.dictionaries(NAMES, VALUES, max_size=6)
)


def view() -> tuple[AcpView, io.StringIO, list[Act]]:
    pane, acts = io.StringIO(), list[Act]()
    return AcpView(Screen(Pane(pane)), acts.append), pane, acts


@given(st.lists(UPDATES | VALUES, max_size=6))
def test_no_update_stops_the_view_or_reaches_the_terminal_as_a_control(updates: list[Any]) -> None:
    shown, pane, _ = view()
    for update in updates:
        shown.take(update)
    shown.end_turn()
    assert all(char in "\n\t" or char.isprintable() or char == "�" or ord(char) > 0x9F for char in pane.getvalue())
    assert "\x1b" not in pane.getvalue() and len(shown.said) <= 4000


@given(VALUES)
def test_no_list_of_options_stops_an_answer(value: Any) -> None:
    assert len(_options_in(value)) <= 9


def test_a_call_is_told_with_its_files_and_its_diff_is_shown_once() -> None:
    shown, pane, acts = view()
    diff = {"type": "diff", "path": "/w/a.py", "oldText": "x = 1\n", "newText": "x = 2\n"}
    call = {"toolCallId": "1", "title": "edit", "kind": "edit", "content": [diff]}
    shown.take({"sessionUpdate": "tool_call", **call, "status": "pending"})
    shown.take({"sessionUpdate": "tool_call_update", "toolCallId": "1", "locations": [{"path": "/w/b.py"}]})
    shown.take({"sessionUpdate": "tool_call_update", **call, "status": "completed"})
    assert acts[0] == Act("writes", "edit", ("/w/a.py",)) and acts[1] == Act("writes", "edit", ("/w/b.py",))
    assert pane.getvalue().count("+x = 2") == 1 and pane.getvalue().count("Editing") == 1


def test_a_call_that_failed_is_shown_with_what_it_printed() -> None:
    shown, pane, acts = view()
    printed = [{"type": "content", "content": {"type": "text", "text": "no rule to make target"}}]
    shown.take({"sessionUpdate": "tool_call", "toolCallId": "1", "title": "make", "kind": "execute"})
    shown.take({"sessionUpdate": "tool_call_update", "toolCallId": "1", "status": "failed", "content": printed})
    assert acts == [Act("runs", "make", ())]
    assert "make failed" in pane.getvalue() and "no rule to make target" in pane.getvalue()


def test_the_message_after_the_last_call_is_what_the_program_says_about_its_work() -> None:
    shown, _, _ = view()
    message = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "I look."}}
    shown.take(message)
    shown.take({"sessionUpdate": "tool_call", "toolCallId": "1", "title": "read", "kind": "read"})
    shown.take({**message, "content": {"type": "text", "text": "feat: done"}})
    assert shown.said == "feat: done"


def test_a_plan_is_shown_again_only_when_it_has_changed() -> None:
    shown, pane, _ = view()
    steps = [{"content": "write", "status": "in_progress"}, {"content": "test", "status": "pending"}]
    for _ in range(3):
        shown.take({"sessionUpdate": "plan", "entries": steps})
    assert pane.getvalue().count("Plan 0 of 2 steps done") == 1 and "[>] write" in pane.getvalue()


def test_a_long_plan_is_shown_again_only_when_it_has_changed() -> None:
    shown, pane, _ = view()
    steps = [{"content": f"step {number}"} for number in range(60)]
    for _ in range(3):
        shown.take({"sessionUpdate": "plan", "entries": steps})
    assert pane.getvalue().count("Plan 0 of 60 steps done") == 1
    shown.take({"sessionUpdate": "plan", "entries": [*steps[:59], {"content": "last", "status": "completed"}]})
    assert "Plan 1 of 60 steps done" in pane.getvalue()


def test_what_is_kept_of_a_turn_is_bounded() -> None:
    shown, pane, acts = view()
    huge = "x" * 100_000
    for number in range(1200):
        diff = {"type": "diff", "path": f"/w/{number}", "oldText": "", "newText": "y"}
        call = {"toolCallId": f"{number}{huge}", "title": huge, "kind": huge, "locations": [{"path": huge}]}
        shown.take({"sessionUpdate": "tool_call", **call, "content": [diff]})
    assert pane.getvalue().count("+y") == 1000
    assert len(pane.getvalue()) < 1_000_000
    assert all(len(act.name) <= 300 and len(act.paths) == 1 for act in acts)
    kept = [
        *shown._titles,
        *shown._titles.values(),
        *shown._kinds.values(),
        *(part for pair in shown._diffs for part in pair),
    ]
    assert sum(map(len, kept)) < 2_000_000
