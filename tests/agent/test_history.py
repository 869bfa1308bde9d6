"""A conversation made shorter or plainer keeps its order, its pairs and its brief."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.agent.conversation import Conversation
from aegis_tui.agent.history import reshape, shorten, size_of
from aegis_tui.ports.llm import ChatReply, ToolCall

BRIEF = "Do it. " * 100


def talk(*results: str, calls: int = 1) -> Conversation:
    """A conversation in which each of the results answers a reply of `calls` calls; ids come again in every reply."""
    conversation = Conversation("system")
    conversation.add_user(BRIEF)
    for text in results:
        written = json.dumps({"path": "a", "content": "w" * 1000})
        conversation.add_reply(ChatReply("", tuple(ToolCall(f"call_{at}", "write", written) for at in range(calls))))
        for at in range(calls):
            conversation.add_result(f"call_{at}", f"{at} {text}")
    return conversation


def test_the_oldest_results_go_first_and_the_brief_never() -> None:
    messages = list(talk("a" * 5000, "b" * 5000, "c" * 5000).messages)
    short = shorten(messages, size_of(messages) - 6000)
    assert [message["role"] for message in short] == [message["role"] for message in messages]
    assert short[:2] == messages[:2]
    results = [message["content"] for message in short if message["role"] == "tool"]
    assert "left out" in results[0] and "left out" in results[1]
    assert results[2] == messages[-1]["content"]


def test_one_result_that_is_longer_than_the_context_loses_its_middle() -> None:
    messages = list(talk("START" + "x" * 100_000 + "END").messages)
    short = shorten(messages, 60_000)
    assert size_of(short) < 60_000
    assert short[-1]["content"].startswith("0 START") and short[-1]["content"].endswith("END")
    assert "characters left out" in short[-1]["content"]


def test_long_arguments_of_old_calls_go_and_stay_json() -> None:
    messages = list(talk("ok", "ok", "ok").messages)
    short = shorten(messages, size_of(messages) - 1500)
    arguments = [json.loads(message["tool_calls"][0]["function"]["arguments"]) for message in short[2::2]]
    assert [len(fields["content"]) < 300 for fields in arguments] == [True, True, False]
    assert all(fields["path"] == "a" for fields in arguments)


def test_a_conversation_that_cannot_be_shorter_says_so() -> None:
    assert not talk().shorten(0.5)
    assert not talk("short").shorten(0.99999)
    longer = talk("x" * 5000, "y" * 5000)
    before = size_of(longer.messages)
    assert longer.shorten(0.6)
    assert size_of(longer.messages) < before * 0.7


def pairs(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each call's arguments with the result that answers it, as a strict template pairs them."""
    found: list[tuple[str, str]] = []
    for at, message in enumerate(messages):
        for call in message.get("tool_calls", ()):
            following = []
            for other in messages[at + 1 :]:
                if other["role"] != "tool":
                    break
                following.append(other)
            [answer] = [other for other in following if other["tool_call_id"] == call["id"]]
            found.append((call["function"]["arguments"], answer["content"]))
    return found


@given(st.lists(st.sampled_from(["one", "two", ""]), max_size=4), st.integers(1, 3), st.booleans())
def test_the_plain_form_has_one_call_a_message_and_loses_nothing(
    results: list[str], calls: int, keeps_system: bool
) -> None:
    conversation = talk(*results, calls=calls)
    before = list(conversation.messages)
    plain = reshape(before, keeps_system=keeps_system)
    assert all(len(message.get("tool_calls", [1])) == 1 for message in plain)
    assert all(str(message["content"]).strip() for message in plain)
    assert pairs(plain) == pairs(before)
    ids = [message["tool_call_id"] for message in plain if message["role"] == "tool"]
    assert len(set(ids)) == len(ids)
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert [message["role"] for message in plain].count("system") == int(keeps_system)
    assert all(one["role"] != other["role"] or one["role"] == "tool" for one, other in itertools.pairwise(plain))
    assert reshape(plain, keeps_system=keeps_system)[0] == plain[0]


def test_a_system_message_in_the_middle_and_an_assistant_at_the_end_are_put_right() -> None:
    plain = reshape(
        [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "system", "content": "note"},
            {"role": "assistant", "content": ""},
        ]
    )
    assert [message["role"] for message in plain] == ["system", "user", "assistant", "user"]
    assert plain[1]["content"] == "u\n\nnote"
    assert plain[2]["content"]


def test_the_plain_form_is_kept_and_making_it_again_changes_nothing() -> None:
    conversation = talk("a", calls=2)
    assert conversation.make_plain(keeps_system=True)
    assert not conversation.make_plain(keeps_system=True)
    conversation.add_user("more")
    assert len(conversation.messages) == 2 + 4 + 1
    assert conversation.make_plain(keeps_system=False)
    assert conversation.messages[0]["content"].startswith("system\n\nDo it.")


@pytest.mark.parametrize("arguments", ["[" * 100_000, "5", "{"])
def test_arguments_that_are_no_object_do_not_reach_the_history(arguments: str) -> None:
    conversation = Conversation("system")
    conversation.add_reply(ChatReply("", (ToolCall("a", "read", arguments),)))
    assert conversation.messages[-1]["tool_calls"][0]["function"]["arguments"] == "{}"
