from __future__ import annotations

import pytest

from aegis_tui.domain.prompt import (
    commit_message,
    inert,
    notices_text,
    opening_text,
    scope_text,
    system_text,
    unparsed_tool_call,
)


def _opening(agent_id: str, partition: list[str], brief: str) -> str:
    return opening_text("# Repository\n\nA shop.", scope_text(agent_id, partition=partition), brief)


def test_what_instances_share_comes_before_what_is_their_own() -> None:
    first, second = _opening("NATIVE-w01", ["a/**"], "Do A"), _opening("NATIVE-w02", ["b/**"], "Do B")
    shared = first[: first.index("NATIVE-w01")]
    assert second.startswith(shared)
    assert "A shop." in shared


def test_the_brief_comes_last() -> None:
    assert _opening("NATIVE-w01", ["a/**"], "Do A").rstrip().endswith("Do A")


def test_a_missing_shared_context_leaves_no_gap() -> None:
    assert opening_text("", "# Your scope\n", "Do A").startswith("# Your scope")


def test_the_scope_text_does_not_depend_on_the_order_of_its_globs() -> None:
    owners = {"b/**": "NATIVE-w02", "c/**": "NATIVE-w03"}
    one = scope_text("NATIVE-w01", partition=["x/**", "a/**"], joint=["z", "y"], owners=owners)
    two = scope_text("NATIVE-w01", partition=["a/**", "x/**"], joint=["y", "z"], owners=dict(reversed(owners.items())))
    assert one == two
    assert "b/** (NATIVE-w02)" in one


def test_the_own_globs_are_not_listed_as_foreign() -> None:
    text = scope_text("NATIVE-w01", partition=["a/**"], owners={"a/**": "NATIVE-w01"})
    assert "others" not in text


def test_the_system_text_is_the_role_prompt_only() -> None:
    assert system_text("\nYou work.\n\n") == "You work.\n"


def test_control_and_direction_characters_are_removed_and_text_stays() -> None:
    assert inert("a\x1b[31mb\x07\x9b\r\nc\td\u202eе\u2066") == "a[31mb\nc\tdе"
    assert inert("한국어 👩‍💻") == "한국어 👩‍💻"


@pytest.mark.parametrize("text", ['<tool_call>{"name": 1}', "<function=read>", "[TOOL_CALLS][{}]"])
def test_a_tool_call_left_in_the_text_is_noticed(text: str) -> None:
    assert unparsed_tool_call(text)
    assert not unparsed_tool_call("I would call the function read")


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("add discounts.", "feat: add discounts\n"),
        ("fix(cart): round half up\n\nWas cut.", "fix(cart): round half up\n\nWas cut.\n"),
        ("refactor!: drop v1", "refactor!: drop v1\n"),
        ("  \n", "feat: update\n"),
        ("add\x1b[31m colour", "feat: add[31m colour\n"),
    ],
)
def test_a_summary_becomes_a_conventional_commit_message(summary: str, message: str) -> None:
    assert commit_message(summary, kind="feat") == message


def test_a_long_first_line_is_cut_and_kept_in_the_body() -> None:
    head, _, body = commit_message("add " + "very " * 30 + "long things", kind="feat").partition("\n\n")
    assert len(head) <= 72
    assert body.strip().endswith("long things")


def test_notices_are_a_list_of_their_own() -> None:
    assert notices_text(["a.py changed", "b.py is free"]) == "Meanwhile:\n- a.py changed\n- b.py is free"
