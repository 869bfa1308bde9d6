"""What servers say when they refuse, in their own words, and what kind of failure it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_tui.adapters.llm.problem import problem_in_stream, problem_of
from aegis_tui.errors import (
    AegisError,
    ContextOverflow,
    HistoryRefused,
    ModelAbsent,
    ModelError,
    ModelKeyRefused,
    ModelMalformed,
    ModelRefused,
    ModelUnavailable,
)

SERVER = "the model server at http://127.0.0.1:8001/v1"


def said(status: int, message: Any, **headers: str) -> AegisError:
    body = message if isinstance(message, str) else json.dumps(message)
    return problem_of(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, SERVER)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 16384 tokens. However, your request has 20000 input tokens."),
        (400, "The decoder prompt (length 20000) is longer than the maximum model length of 16384."),
        (400, "the request exceeds the available context size (8192 tokens), try increasing it"),
        (400, "prompt too long; exceeded max context length by 4000 tokens"),
        (400, "The input (20000 tokens) is longer than the model's context length (16384 tokens)."),
        (400, "prompt is too long: 208310 tokens > 200000 maximum"),
        (
            422,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
        ),
        (500, "context size has been exceeded"),
        (400, "max_tokens must be at least 1, got -200."),
        (413, "Payload Too Large"),
    ],
)
def test_a_conversation_that_is_too_long_is_told_in_many_wordings(status: int, message: str) -> None:
    assert isinstance(said(status, {"error": {"message": message}}), ContextOverflow)


def test_a_code_says_that_it_is_too_long_when_the_words_do_not() -> None:
    assert isinstance(said(400, {"error": {"message": "no", "code": "context_length_exceeded"}}), ContextOverflow)
    assert isinstance(said(400, {"error": {"message": "no", "type": "exceed_context_size_error"}}), ContextOverflow)
    assert isinstance(said(400, {"error": {"message": "no", "param": "input_tokens"}}), ContextOverflow)


def test_the_limit_and_what_was_asked_are_read() -> None:
    problem = said(400, {"error": {"message": "maximum context length is 16384 tokens, you requested 20,000 tokens"}})
    assert (problem.data["limit_tokens"], problem.data["asked_tokens"]) == (16384, 20000)


@pytest.mark.parametrize(
    "message",
    [
        "This model only supports single tool-calls at once!",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate user and assistant roles",
        "System role not supported",
        "System message must be at the beginning.",
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        "Cannot have 2 or more assistant messages at the end of the list.",
        "Assistant message must have either content or tool_calls, but not both.",
        "jinja2.exceptions.TemplateError: No user query found in messages.",
        "Assistant response prefill is incompatible with enable_thinking.",
        "Tool call id was call_0 but must be a-z, A-Z, 0-9, with a length of 9.",
        "messages: text content blocks must be non-empty",
    ],
)
def test_a_refusal_of_the_chat_template_is_one(message: str) -> None:
    assert isinstance(said(400, {"error": {"message": message}}), HistoryRefused)
    assert isinstance(said(500, {"error": {"message": message}}), HistoryRefused)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelRefused),
        (401, ModelKeyRefused),
        (403, ModelKeyRefused),
        (404, ModelAbsent),
        (405, ModelRefused),
        (422, ModelRefused),
        (501, ModelRefused),
        (301, ModelRefused),
        *((status, ModelUnavailable) for status in (408, 425, 429, 500, 502, 503, 504, 520, 529)),
    ],
)
def test_each_status_is_passing_or_certain(status: int, kind: type[AegisError]) -> None:
    problem = said(status, {"error": {"message": "does not support chat"}})
    assert type(problem) is kind
    assert problem.data["status"] == status
    assert getattr(problem, "is_certain", False) is issubclass(kind, ModelRefused)
    assert SERVER in problem.message


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Unauthorized"}, "Unauthorized"),
        ({"object": "error", "message": "no such thing"}, "no such thing"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "x"}]}, '"msg": "x"'),
        ("<html><body><h1>502 Bad Gateway</h1></body></html>", "502 Bad Gateway"),
        ("\x1b[2J", "[2J"),
        ("", "nothing"),
        ("[" * 50_000, "[[["),
        ("x" * 5_000_000, "xxx"),
        ({"error": {"message": {"a": 1}}}, '"a": 1'),
    ],
)
def test_a_refusal_in_any_form_is_shown_bounded_and_inert(body: Any, text: str) -> None:
    problem = said(502, body)
    assert text in problem.message
    assert len(problem.message) < 800
    assert problem.message.isprintable()


def test_what_the_gateway_says_itself_is_not_said_twice() -> None:
    message = "the model server at http://10.0.0.1/v1 does not answer (refused): aegis-tui doctor"
    problem = said(502, {"error": {"message": message}}, x_aegis_refused="model.unavailable")
    assert isinstance(problem, ModelUnavailable)
    assert problem.message == message
    assert isinstance(said(413, "x", x_aegis_refused="body.size"), ContextOverflow)
    assert isinstance(said(503, "x", x_aegis_refused="model.key"), ModelKeyRefused)
    assert isinstance(said(401, "x", x_aegis_refused="token"), ModelRefused)


def test_an_error_in_a_stream_has_the_kind_of_its_code() -> None:
    assert problem_in_stream({"choices": []}, SERVER) is None
    assert isinstance(problem_in_stream({"error": {"message": "busy"}}, SERVER), ModelUnavailable)
    assert isinstance(problem_in_stream({"error": {"message": "no", "code": 400}}, SERVER), ModelRefused)
    assert isinstance(problem_in_stream({"error": {"message": "no", "code": "404"}}, SERVER), ModelAbsent)
    old = {"object": "error", "message": "maximum context length is 10", "code": 400}
    assert isinstance(problem_in_stream(old, SERVER), ContextOverflow)


@given(st.integers(300, 599), st.binary(max_size=200), st.text(max_size=20))
def test_any_answer_is_one_of_our_errors(status: int, body: bytes, retry_after: str) -> None:
    problem = problem_of(status, body, {"retry-after": retry_after}, SERVER)
    assert isinstance(problem, ModelError | ModelUnavailable)
    problem.message.encode()


def test_what_the_gateway_could_not_read_is_malformed_and_named_once() -> None:
    words = f"{SERVER} sent an answer in an encoding that is not supported: 'br'"
    error = said(502, {"error": {"message": words}}, x_aegis_refused="model.malformed")
    assert (type(error), error.message) == (ModelMalformed, words)
    lost = problem_in_stream({"error": {"message": f"{SERVER} stopped in the middle", "code": "upstream.lost"}}, SERVER)
    assert lost is not None
    assert lost.message == f"{SERVER} stopped in the middle"
