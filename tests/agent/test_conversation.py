from __future__ import annotations

import pytest

from aegis_tui.agent.conversation import Conversation
from aegis_tui.ports.llm import ChatReply, ToolCall


def test_users_that_speak_after_each_other_are_one_message() -> None:
    conversation = Conversation("s")
    conversation.add_user("a")
    conversation.add_user("b")
    assert conversation.messages[1:] == [{"role": "user", "content": "a\n\nb"}]


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '"x"', "null"])
def test_arguments_that_are_no_object_never_reach_a_chat_template(arguments: str) -> None:
    conversation = Conversation("s")
    conversation.add_reply(ChatReply("", (ToolCall("1", "", arguments),)))
    assert conversation.messages[-1]["tool_calls"][0]["function"] == {"name": "unknown", "arguments": "{}"}


def test_every_call_gets_one_result() -> None:
    conversation = Conversation("s")
    conversation.add_reply(ChatReply("", (ToolCall("1", "a", "{}"), ToolCall("2", "b", "{}"))))
    conversation.add_result("1", "fine")
    conversation.answer_rest("not run")
    conversation.answer_rest("not run")
    results = [message for message in conversation.messages if message["role"] == "tool"]
    assert [(item["tool_call_id"], item["content"]) for item in results] == [("1", "fine"), ("2", "not run")]


def test_an_empty_reply_is_not_an_empty_message() -> None:
    conversation = Conversation("s")
    conversation.add_reply(ChatReply(" "))
    assert conversation.messages[-1]["content"] == "(no answer)"
