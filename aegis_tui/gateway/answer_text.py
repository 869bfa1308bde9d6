"""Reads a whole answer of a model server as text and tool calls, so that two can be compared (LLM-8)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from aegis_tui.domain.wire.gateway import AnswerFields, ToolCallFields
from aegis_tui.gateway.dialect import Dialect
from aegis_tui.gateway.usage import parse_json

_LINE_END = re.compile(rb"\r\n|\r|\n")
Fields = dict[str, Any]


def read_answer(dialect: Dialect, body: bytes) -> AnswerFields:
    """Return the text, the tool calls and the reason of the end in an answer; what is missing is empty. Never raises.

    Args:
        dialect: The API of the model server's answer; one of Google's is read as `chat`.
        body: The whole body: one JSON value, or server-sent events.

    Returns:
        `text`: the parts joined, of the first choice in `chat`; if there is neither text nor tool call, the first JSON
            value with an `error`. `tool_calls`: name and arguments (a JSON text) of each, in the order of their index.
            `finish`: the server's word for why it ended, None if it gave none.
    """
    values = [value for value in _values(body) if isinstance(value, dict)]
    read = {"messages": _read_messages, "responses": _read_response}.get(dialect, _read_chat)
    answer = _Answer()
    for value in values:
        read(answer, value)
    if not answer.text and not answer.calls:
        answer.text = next((_json(value) for value in values if value.get("error")), "")
    calls = [answer.calls[at] for at in sorted(answer.calls)]
    return {"text": answer.text, "tool_calls": calls, "finish": answer.finish}


def _values(body: bytes) -> Iterator[Any]:
    whole = parse_json(body)
    if whole is not None:
        yield whole
        return
    for line in _LINE_END.split(body):
        if line.startswith(b"data:"):
            yield parse_json(line[5:])


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply)"


class _Answer:
    """What was read so far."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: dict[int, ToolCallFields] = {}
        """By their index."""
        self.finish: str | None = None

    def add_call(self, at: Any, name: Any, arguments: Any) -> None:
        call = self.calls.setdefault(at if isinstance(at, int) else len(self.calls), {"name": "", "arguments": ""})
        call["name"] += name if isinstance(name, str) else ""
        call["arguments"] += arguments if isinstance(arguments, str) else "" if arguments is None else _json(arguments)

    def end(self, reason: Any) -> None:
        self.finish = reason if isinstance(reason, str) else self.finish


def _read_chat(answer: _Answer, value: Fields) -> None:
    for choice in _dicts(value.get("choices"))[:1]:
        said = choice.get("delta") or choice.get("message")
        if isinstance(said, dict):
            answer.text += _text(said.get("content"))
            for at, call in enumerate(_dicts(said.get("tool_calls"))):
                function = call.get("function")
                if isinstance(function, dict):
                    answer.add_call(call.get("index", at), function.get("name"), function.get("arguments"))
        answer.end(choice.get("finish_reason"))


def _read_messages(answer: _Answer, value: Fields) -> None:
    at, delta = value.get("index"), value.get("delta")
    for number, block in enumerate(_dicts(value.get("content"))):
        _read_block(answer, number, block)
    begun = value.get("content_block")
    if isinstance(begun, dict):
        _read_block(answer, at, {**begun, "input": None})
    if isinstance(delta, dict):
        answer.text += _text(delta.get("text"))
        if isinstance(delta.get("partial_json"), str):
            answer.add_call(at, "", delta["partial_json"])
        answer.end(delta.get("stop_reason"))
    answer.end(value.get("stop_reason"))


def _read_block(answer: _Answer, at: Any, block: Fields) -> None:
    if block.get("type") == "tool_use":
        answer.add_call(at, block.get("name"), block.get("input"))
    else:
        answer.text += _text(block.get("text"))


def _read_response(answer: _Answer, value: Fields) -> None:
    response = value.get("response")
    whole = response if isinstance(response, dict) else value
    items = _dicts(whole.get("output"))
    if items:  # the last event repeats all of it
        answer.text, answer.calls = "", {}
    for item in items:
        if item.get("type") == "function_call":
            answer.add_call(None, item.get("name"), item.get("arguments"))
        elif item.get("type") == "message":
            answer.text += _text(item.get("content"))
    if value.get("type") == "response.output_text.delta":
        answer.text += _text(value.get("delta"))
    answer.end(whole.get("status"))


def _dicts(values: Any) -> list[Fields]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _text(content: Any) -> str:
    """Return a text unchanged; of a list of parts, their texts joined; of anything else, an empty text."""
    if isinstance(content, str):
        return content
    parts: Iterable[Any] = (part.get("text") for part in _dicts(content))
    return "".join(part for part in parts if isinstance(part, str))


def first_difference(one: str, two: str) -> int | None:
    """Return the position from which on two texts differ, from 0; None if they are equal."""
    if one == two:
        return None
    same = (at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    return next(same, min(len(one), len(two)))
