"""What a stored answer says, in every dialect, whole and as a stream (LLM-8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.gateway.answer_text import first_difference, read_answer
from aegis_tui.gateway.dialect import Dialect

NAMES = (
    *("choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "index", "type", "text"),
    *("content_block", "partial_json", "output", "response", "input", "error", "finish_reason"),
)
CALL = {"name": "read", "arguments": '{"path": "grün.py"}'}


def events(*values: dict[str, Any]) -> bytes:
    return b": begins\r\n" + b"".join(b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in values)


def chat(*, is_stream: bool) -> bytes:
    call = {"id": "c", "function": CALL}
    if not is_stream:
        message = {"content": [{"type": "text", "text": "I "}, {"text": "look."}], "tool_calls": [call]}
        return json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    deltas = [
        {"content": "I "},
        {"reasoning_content": "hm"},
        {"content": "look."},
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "read", "arguments": '{"path": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"grün.py"}'}}]},
    ]
    last = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    return events(*({"choices": [{"delta": delta}]} for delta in deltas), last) + b"data: [DONE]\n\n"


def messages(*, is_stream: bool) -> bytes:
    use = {"type": "tool_use", "id": "c", "name": "read", "input": {"path": "grün.py"}}
    if not is_stream:
        return json.dumps({"content": [{"type": "text", "text": "I look."}, use], "stop_reason": "tool_calls"}).encode()
    return events(
        {"type": "message_start", "message": {"content": [], "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I look."}},
        {"type": "content_block_start", "index": 1, "content_block": {**use, "input": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"path": '}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": '"grün.py"}'}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_calls"}},
    )


def responses(*, is_stream: bool) -> bytes:
    text = {"type": "message", "content": [{"type": "output_text", "text": "I look."}]}
    whole = {"status": "tool_calls", "output": [text, {"type": "function_call", **CALL}]}
    if not is_stream:
        return json.dumps(whole).encode()
    return events(
        {"type": "response.output_text.delta", "delta": "I "},
        {"type": "response.output_text.delta", "delta": "look."},
        {"type": "response.completed", "response": whole},
    )


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("dialect", "make"), [("chat", chat), ("messages", messages), ("responses", responses)])
def test_every_dialect_says_the_same(dialect: Dialect, make: Any, is_stream: bool) -> None:
    said = read_answer(dialect, make(is_stream=is_stream))
    assert said == {"text": "I look.", "tool_calls": [CALL], "finish": "tool_calls"}


def test_a_response_that_breaks_off_has_what_was_sent() -> None:
    broken = events({"type": "response.output_text.delta", "delta": "I "})
    assert read_answer("responses", broken)["text"] == "I "


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_an_error_is_the_text(dialect: Dialect) -> None:
    assert "no such model" in read_answer(dialect, b'{"error": {"message": "no such model"}}')["text"]
    assert "gone" in read_answer(dialect, events({"error": {"message": "gone"}}))["text"]


@settings(deadline=None)
@given(
    st.sampled_from(["chat", "messages", "responses"]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(NAMES),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.booleans(),
)
def test_no_form_of_an_answer_is_a_fault(dialect: Dialect, value: Any, is_stream: bool) -> None:
    read_answer(dialect, events(value) if is_stream else json.dumps(value).encode())


def test_the_place_of_the_first_difference() -> None:
    assert first_difference("same", "same") is None
    assert (first_difference("some", "same"), first_difference("so", "some"), first_difference("", "a")) == (1, 2, 0)
