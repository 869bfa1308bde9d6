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
    return opening_text(("You work.\n", ""), brief, scope_text(agent_id, partition=partition))


def test_what_instances_share_comes_before_what_is_their_own() -> None:
    first, second = _opening("NATIVE-w01", ["a/**"], "Do A"), _opening("NATIVE-w02", ["b/**"], "Do B")
    assert first.startswith("You work.\n\n# Your task\n\nDo A\n\n# Your scope\n")
    assert second.startswith(first[: first.index("Do A")])


def test_the_name_of_the_instance_comes_last() -> None:
    assert _opening("NATIVE-w01", ["a/**"], "Do A").endswith("\nYou alone may write: a/**\nYou are NATIVE-w01.\n")


def test_a_missing_shared_text_leaves_no_gap() -> None:
    assert opening_text((), "Do A", "") == "# Your task\n\nDo A\n"
    assert system_text("").endswith("ends your task.\n")


def test_the_system_text_ends_with_what_the_run_shares() -> None:
    assert system_text("Goal: a shop\n\n").endswith("ends your task.\n\nGoal: a shop\n")


def test_the_scope_text_does_not_depend_on_the_order_of_its_globs() -> None:
    moved = {"b": ["b/**", "d"], "c": []}
    one = scope_text("NATIVE-w01", partition=["x/**", "a/**"], moved=moved)
    two = scope_text("NATIVE-w01", partition=["a/**", "x/**"], moved={"c": [], "b": ["d", "b/**"]})
    assert one == two
    assert "Changed since the overview: b writes b/**, d\nChanged since the overview: c writes nothing\n" in one


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
