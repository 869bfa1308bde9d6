"""Converts a conversation: into a shorter one, if the context is full, or a plainer one, for strict chat templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Message = dict[str, Any]

KEPT = 2
"""How many messages are never shortened: the system message and the brief."""

_GONE = "[left out: the conversation was too long for the model's context; read it again if you need it]"
_CUT = "\n[... {count} characters left out: the conversation was too long for the model's context ...]\n"
_SMALL = 300
_ID_CHARS = 9
"""Mistral's templates want tool call ids of nine letters and digits."""


def size_of(messages: Iterable[Mapping[str, Any]]) -> int:
    """Return the size of a conversation in characters: of the contents, and of the arguments of tool calls."""
    return sum(_size(message) for message in messages)


def _size(message: Mapping[str, Any]) -> int:
    calls = message.get("tool_calls") or ()
    return len(str(message.get("content") or "")) + sum(len(call["function"]["arguments"]) for call in calls)


def shorten(messages: Sequence[Message], limit_chars: int) -> list[Message]:
    """Return a copy of the conversation shortened to about `limit_chars`; the number and order of the messages stay.

    Removed, in this order until it fits: results of tools, oldest first; long arguments of calls; the middle of the
    newest results; the middle of other messages since the brief. The first two messages (system and brief) stay whole,
    so the result can still be longer than the limit. Arguments of calls must be JSON objects.
    """
    short = [dict(message) for message in messages]
    over = size_of(short) - limit_chars
    newest = max((place for place, message in enumerate(short) if message.get("tool_calls")), default=len(short))
    steps = (
        (range(KEPT, newest), _without_result),
        (range(KEPT, newest), _without_arguments),
        (range(max(newest, KEPT), len(short)), _without_middle),
        (range(KEPT, len(short)), _without_middle),
    )
    for places, step in steps:
        for place in places:
            if over <= 0:
                return short
            before = _size(short[place])
            short[place] = step(short[place])
            over -= before - _size(short[place])
    return short


def _without_result(message: Message) -> Message:
    if message["role"] != "tool" or len(str(message["content"])) <= _SMALL:
        return message
    return {**message, "content": _GONE}


def _without_arguments(message: Message) -> Message:
    if not message.get("tool_calls"):
        return message
    calls = [{**call, "function": _without_long_values(call["function"])} for call in message["tool_calls"]]
    return {**message, "tool_calls": calls}


def _without_long_values(function: Mapping[str, Any]) -> dict[str, Any]:
    if len(function["arguments"]) <= _SMALL:
        return dict(function)
    fields = json.loads(function["arguments"])
    short = {
        name: value if len(json.dumps(value)) <= _SMALL else (_GONE if isinstance(value, str) else None)
        for name, value in fields.items()
    }
    return {**function, "arguments": json.dumps(short, ensure_ascii=False)}


def _without_middle(message: Message) -> Message:
    content = message.get("content")
    if not isinstance(content, str) or len(content) <= 4 * _SMALL:
        return message
    kept = max(len(content) // 4, 2 * _SMALL)
    gap = _CUT.format(count=len(content) - kept)
    return {**message, "content": content[: kept // 2] + gap + content[len(content) - kept // 2 :]}


def reshape(messages: Sequence[Message], *, keeps_system: bool = True) -> list[Message]:
    """Return the same conversation in the plainest form, which strict chat templates accept.

    It has one system message, at the start; one call per message, directly followed by its result; call ids of nine
    letters and digits; no empty content; alternating user and assistant messages; and does not end with the assistant.

    Args:
        messages: In the form of the chat completions API; every call has a result.
        keeps_system: False for a template without a system role: its text is put before the first user message.
    """
    plain: list[Message] = []
    for place, message in enumerate(messages):
        role, content = message["role"], str(message.get("content") or "")
        content = content if content.strip() else ""
        if role == "system" and (place or not keeps_system):
            role = "user"
        if role == "tool":
            continue
        calls = message.get("tool_calls") or ()
        results = _results_after(messages, place) if calls else {}
        for number, call in enumerate(calls):
            call_id = hashlib.sha256(f"{place} {number}".encode()).hexdigest()[:_ID_CHARS]
            plain += _exchange({**call, "id": call_id}, content if number == 0 else "", results.get(call["id"], ""))
        if not calls and plain and plain[-1]["role"] == role:
            plain[-1] = {**plain[-1], "content": f"{plain[-1]['content']}\n\n{content}".strip()}
        elif not calls:
            plain.append({**message, "role": role, "content": content or "(nothing)"})
    if plain and plain[-1]["role"] == "assistant":
        plain.append({"role": "user", "content": "Go on."})
    return plain


def _results_after(messages: Sequence[Message], place: int) -> dict[str, str]:
    """Return call id -> content of the tool messages that directly follow the message at `place`.

    They end at the first message of another role: later calls may have the same ids. Empty if none follows.
    """
    results: dict[str, str] = {}
    for message in messages[place + 1 :]:
        if message["role"] != "tool":
            break
        results[message["tool_call_id"]] = str(message["content"])
    return results


def _exchange(call: Mapping[str, Any], content: str, result: str) -> list[Message]:
    """Return two messages: the model's, with one call, and the tool's, with the result of the call.

    Args:
        call: The call, with its id.
        content: The model's text beside the call; if empty, a sentence that names the tool.
        result: The result; if blank, `(nothing)`.
    """
    said = content or f"I call {call['function']['name']}."
    return [
        {"role": "assistant", "content": said, "tool_calls": [dict(call)]},
        {"role": "tool", "tool_call_id": call["id"], "content": result if result.strip() else "(nothing)"},
    ]
