"""Two other forms of a conversation: shorter, for a context that is full, and plainer, for a strict chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Message = dict[str, Any]

KEPT = 2
"""The system message and the brief: never shortened."""

_GONE = "[left out: the conversation had reached the model's context; read it again if you need it]"
_CUT = "\n[... {count} characters left out: the conversation had reached the model's context ...]\n"
_SMALL = 300
_ID_CHARS = 9
"""Mistral's templates want tool call ids of nine letters and digits."""


def size_of(messages: Iterable[Mapping[str, Any]]) -> int:
    """The characters that a conversation takes, arguments of calls included."""
    return sum(_size(message) for message in messages)


def _size(message: Mapping[str, Any]) -> int:
    calls = message.get("tool_calls") or ()
    return len(str(message.get("content") or "")) + sum(len(call["function"]["arguments"]) for call in calls)


def shorten(messages: Sequence[Message], limit_chars: int) -> list[Message]:
    """The conversation in at most about `limit_chars`, oldest results first; order and pairs of messages stay.

    What goes, in this order until it fits: results of tools, oldest first; long arguments of calls; the middle of the
    newest results; the middle of what others said since the brief. The system message and the brief stay whole.
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
    """The same conversation in the plainest form: what strict chat templates accept.

    One system message, at the start; one call in a message, its result right after it; ids of nine letters and digits;
    no empty content; user and assistant take turns; the last word is not the assistant's.

    Args:
        messages: In the shape of chat completions, every call answered.
        keeps_system: False for a template without a system role: its text goes to the head of the first user message.
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
    """The results that follow the message at `place`, by the id of their call; ids may come again in later messages."""
    results: dict[str, str] = {}
    for message in messages[place + 1 :]:
        if message["role"] != "tool":
            break
        results[message["tool_call_id"]] = str(message["content"])
    return results


def _exchange(call: Mapping[str, Any], content: str, result: str) -> list[Message]:
    """One call in a message of its own, and its result."""
    said = content or f"I call {call['function']['name']}."
    return [
        {"role": "assistant", "content": said, "tool_calls": [dict(call)]},
        {"role": "tool", "tool_call_id": call["id"], "content": result if result.strip() else "(nothing)"},
    ]
