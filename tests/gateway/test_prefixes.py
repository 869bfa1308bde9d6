"""Where the prompts of two callers part, and why (LLM-3)."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from aegis_tui.gateway.dialect import Dialect
from aegis_tui.gateway.prefixes import MOST_CALLERS, MOST_PIECES, Prefixes
from aegis_tui.gateway.sketch import BLOCK_CHARS, MOST_PARTS, texts_of
from tests.gateway.conftest import OTHER_TOKEN, PERSON_TOKEN, Gateway, ModelServer

A, B = "NATIVE-w01", "NATIVE-w02"
LONG = "what all instances share " * 60


def tool(name: str, description: str = "") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description}}


def chat(user: str, *, system: str = LONG, tools: tuple[str, ...] = ("read",), **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"model": "m", "tools": [tool(name) for name in tools], "messages": messages, **more}


def compare(one: dict[str, Any], two: dict[str, Any], *, model: str = "m") -> dict[str, Any]:
    seen = Prefixes()
    seen.note(A, "chat", one, model="m")
    seen.note(B, "chat", two, model=model)
    (found,) = seen.view(A, B)["prefixes"]
    return dict(found) if found["a"] == A else {**found, **swapped(dict(found))}


def swapped(found: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{mine}{part}": found[f"{other}{part}"] for mine, other in ("ab", "ba") for part in ("", "_piece", "_chars")
    }


def test_the_place_is_found_to_the_character() -> None:
    found = compare(chat(f"{LONG}Do the first."), chat(f"{LONG}Do the second."))
    assert (found["part"], found["at"]) == ("message 1 (user)", len(LONG) + len("Do the "))
    tools = len(json.dumps([tool("read")]))
    assert found["shared_chars"] == len(LONG) + tools + found["at"]
    assert found["a_piece"].endswith("Do the first.") and found["b_piece"].endswith("Do the second.")
    assert len(found["a_piece"]) <= 80


@pytest.mark.parametrize(
    ("one", "two", "part", "reason"),
    [
        (chat("x"), chat("x", system="other"), "system", "the system messages differ"),
        (chat("x"), chat("x", system=LONG.replace("share", "2026-11-28T10:00:00", 1)), "system", "a time differs"),
        (chat("now 12:00:01"), chat("now 12:00:02"), "message 1 (user)", "a time differs"),
        (chat("on 2026-11-28"), chat("on 2026-11-29"), "message 1 (user)", "a date differs"),
        (chat("in /tmp/w01/x"), chat("in /tmp/w02/x"), "message 1 (user)", "a path differs"),
        (chat("You are NATIVE-w01."), chat("You are NATIVE-w02."), "message 1 (user)", "the id of an instance differs"),
        (chat("id 0123456789abcdef0"), chat("id 0123456789abcdef1"), "message 1 (user)", "a random id differs"),
        (chat("x"), chat("x", tools=("read", "verdict")), "tools", "the tools differ: verdict"),
        (chat("x", tools=("a", "b")), chat("x", tools=("b", "a")), "tools", "the same tools in another order"),
        (chat("a cat"), chat("a dog"), "message 1 (user)", "the texts differ"),
    ],
)
def test_the_reason_is_told(one: dict[str, Any], two: dict[str, Any], part: str, reason: str) -> None:
    found = compare(one, two)
    assert (found["part"], found["reason"]) == (part, reason)


def test_a_part_that_only_one_has_is_told() -> None:
    found = compare(chat("x"), chat("x", tools=()))
    names = {"tools", "message 1 (user)"}
    assert found["part"] in names and all(name in found["reason"] for name in names)


def test_equal_prompts_other_models_and_beginnings_are_told_apart() -> None:
    assert compare(chat("x"), chat("x"))["reason"] == "the prompts are equal"
    other = compare(chat("x"), chat("x"), model="big")
    assert (other["shared_chars"], other["reason"]) == (0, "the models differ, and each has a cache of its own")
    more = chat("x")
    more["messages"].append({"role": "assistant", "content": "y"})
    found = compare(chat("x"), more)
    assert (found["part"], found["reason"]) == ("message 2 (assistant)", "one prompt is the beginning of the other")


def test_a_conversation_that_does_not_only_grow_is_told() -> None:
    seen = Prefixes()
    fields = chat("Do it.")
    seen.note(A, "chat", fields, model="m")
    fields["messages"][1] = {"role": "user", "content": "Do it.\n\nMeanwhile: nothing."}
    fields["messages"] += [{"role": "assistant", "content": "y"}, {"role": "user", "content": "more"}]
    seen.note(A, "chat", fields, model="m")
    assert seen.view()["prompts"][0]["rewritten"] is None
    fields["messages"][0]["content"] += " It is 12:00:00."
    seen.note(A, "chat", fields, model="m")
    (prompt,) = seen.view()["prompts"]
    assert (prompt["rewritten"], prompt["requests"]) == ("system", 3)


@pytest.mark.parametrize(
    ("dialect", "fields", "names"),
    [
        ("messages", {"system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": "u"}]}, 2),
        ("responses", {"instructions": "s", "input": "u"}, 2),
        ("responses", {"instructions": "s", "input": [{"type": "message", "role": "user", "content": []}]}, 2),
        ("chat", {"messages": "odd", "tools": {"odd": 1}}, 2),
        ("chat", {"messages": [None, 5, {"role": 7, "content": {"odd": []}}]}, 2),
        ("chat", {}, 0),
    ],
)
def test_every_dialect_and_any_form_has_parts(dialect: Dialect, fields: dict[str, Any], names: int) -> None:
    assert len(texts_of(dialect, fields)) == names
    Prefixes().note(A, dialect, fields, model="m")


def test_no_more_is_kept_than_the_limits() -> None:
    seen = Prefixes()
    for number in range(MOST_CALLERS + 10):
        text = "".join(f"{number:05}{block:05}".ljust(BLOCK_CHARS) for block in range(200))
        seen.note(f"NATIVE-w{number}", "chat", chat(text), model="m")
    view = seen.view()
    assert len(view["prompts"]) == MOST_CALLERS
    assert len(seen._pieces) <= MOST_PIECES
    assert "(no longer known)" in {item["a_piece"] for item in view["prefixes"]}


def test_what_could_just_be_parsed_but_is_nested_too_deeply_is_no_fault() -> None:
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() + 10):
        deep = [deep]
    (text,) = texts_of("chat", {"messages": [{"role": "user", "content": deep}]})
    assert text.text == "(nested too deeply)"


def test_names_that_a_client_makes_up_are_cut() -> None:
    fields = chat("x", tools=tuple(f"{number}{'n' * 10_000}" for number in range(1_000)))
    fields["messages"] += [{"role": "r" * 10_000, "content": "y"}] * 10_000
    sketch = Prefixes().note(A, "chat", fields, model="m")
    assert len(sketch.parts) == MOST_PARTS and max(len(part.name) for part in sketch.parts) < 60
    assert len(sketch.tools) == 256 and {len(name) for name in sketch.tools} == {64}
    assert len(compare(fields, chat("x"))["reason"]) < 2_000


def test_only_the_person_gets_them_and_only_over_the_socket(gateway: Gateway, model_server: ModelServer) -> None:
    for token in (None, OTHER_TOKEN):
        client = gateway.client(token) if token else gateway.client()
        for _ in range(2):
            assert client.post("/v1/chat/completions", json=chat(f"I am {token}", stream=True)).status_code == 200
    seen = gateway.client(PERSON_TOKEN).get("/v1/prefixes").json()
    assert [(item["agent_id"], item["requests"]) for item in seen["prompts"]] == [("CLAUDE-w02", 2), ("NATIVE-w01", 2)]
    assert seen["prefixes"][0]["part"] == "message 1 (user)"
    assert gateway.client().get("/v1/prefixes").status_code == 403
    assert gateway.client(PERSON_TOKEN, tcp=True).get("/v1/prefixes").status_code == 404
    one = gateway.client(PERSON_TOKEN).get("/v1/prefixes", params={"a": "NATIVE-w01", "b": "nobody"}).json()
    assert (len(one["prompts"]), one["prefixes"]) == (1, [])
