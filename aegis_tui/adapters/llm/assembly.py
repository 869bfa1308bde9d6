"""Assembles a streamed chat completion: text, tool calls in fragments, finish reason, usage.

Servers differ: some omit fields or send null, some send text as a list of parts, some send a whole message at the end
or instead of a stream. Unambiguous variants are accepted; anything else raises `Odd`. Nothing here reads a socket.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aegis_tui.adapters.llm.call_assembly import CallAssembler, Odd
from aegis_tui.ports.llm import ChatReply, Usage

_THINKING_PARTS = ("thinking", "reasoning", "reasoning_text", "summary_text")
_THINKING_FIELDS = ("reasoning_content", "reasoning", "thinking")


class ReplyAssembler:
    """Assembles one reply: pass each chunk's JSON to `feed`; `reply` returns what has been received so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls = CallAssembler()
        self._usage = Usage()
        self._finish_reason = ""
        self._has_thought = False

    @property
    def has_finished(self) -> bool:
        """Whether the server has sent a finish reason; a stream that ends before that was cut off."""
        return bool(self._finish_reason)

    @property
    def has_begun(self) -> bool:
        """Whether any text or tool call has been received."""
        return bool(self._text or self._calls)

    def feed(self, chunk: Any) -> str:
        """Process one chunk and return the text that it adds, which is often empty; `reply` returns all that it adds.

        That is text, tool calls, finish reason and token counts.

        Args:
            chunk: The chunk as parsed JSON; a server may send any value.

        Raises:
            Odd: It cannot be read as a chunk of a chat completion, or there are over 256 tool calls; a part of the
                chunk may have been added.
        """
        if not isinstance(chunk, Mapping):
            raise Odd("a chunk that is not an object", chunk)
        if usage := chunk.get("usage"):
            self._usage = parse_usage(usage)
        choice = _first_choice(chunk.get("choices"))
        if choice is None:
            return ""
        text = self._take_message(choice)
        self._finish_reason = _finish_reason(choice.get("finish_reason")) or self._finish_reason
        return text

    def _take_message(self, choice: Mapping[str, Any]) -> str:
        message = choice.get("delta")
        if not message:  # a whole message: instead of a stream, or repeated at its end
            message = None if self.has_begun else choice.get("message")
        if not message:
            text, thought = _text_of(choice.get("text")), False
        elif isinstance(message, Mapping):
            text, thought = self._take_delta(message)
        else:
            raise Odd("a delta that is not an object", message)
        self._has_thought = self._has_thought or thought
        if text:
            self._text.append(text)
        return text

    def _take_delta(self, delta: Mapping[str, Any]) -> tuple[str, bool]:
        fragments = delta.get("tool_calls")
        if isinstance(fragments, Mapping):
            fragments = [fragments]
        if not isinstance(fragments, list | None):
            raise Odd("tool calls that are not a list", fragments)
        for fragment in fragments or ():
            self._calls.take(fragment)
        if (legacy := delta.get("function_call")) is not None:
            self._calls.take({"index": 0, "function": legacy})
        thought = any(delta.get(name) for name in _THINKING_FIELDS) or _has_thinking_part(delta.get("content"))
        return _text_of(delta.get("content")) + _text_of(delta.get("refusal")), thought

    def reply(self) -> ChatReply:
        """Return the reply as received so far; its tool calls may be incomplete until `has_finished`."""
        text = "".join(self._text)
        return ChatReply(text, self._calls.calls(), self._finish_reason, self._usage, self._has_thought)


def _first_choice(choices: Any) -> Mapping[str, Any] | None:
    if isinstance(choices, Mapping):
        choices = [choices]
    if choices is None or choices == []:
        return None
    if not isinstance(choices, list):
        raise Odd("choices that are not a list", choices)
    if not isinstance(choices[0], Mapping):
        raise Odd("a choice that is not an object", choices[0])
    return choices[0]


def _finish_reason(value: Any) -> str:
    """Return the finish reason as text: empty for null and false, `stop` for true.

    Of an object, as some servers send it, its `type` or `reason` counts.

    Raises:
        Odd: It is another value.
    """
    if isinstance(value, Mapping):
        value = value.get("type") or value.get("reason")
    if value is None or value is False:
        return ""
    if value is True:
        return "stop"
    if isinstance(value, str):
        return value
    raise Odd("a finish_reason that is not text", value)


def _text_of(content: Any) -> str:
    """Return the text of a content field: a string, null (empty), one part, or a list of parts, which are joined.

    Parts in which the model thinks are left out.

    Raises:
        Odd: It is another value, or a part has no text.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        raise Odd("content that is neither text nor a list of parts", content)
    return "".join(_text_of_part(part) for part in content)


def _text_of_part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise Odd("a part of the content that is not an object", part)
    if part.get("type") in _THINKING_PARTS:
        return ""
    text = part.get("text", part.get("refusal"))
    if isinstance(text, Mapping):
        text = text.get("value")
    if isinstance(text, str):
        return text
    raise Odd("a part of the content that holds no text", part)


def _has_thinking_part(content: Any) -> bool:
    parts = content if isinstance(content, list) else [content]
    return any(isinstance(part, Mapping) and part.get("type") in _THINKING_PARTS for part in parts)


def parse_usage(usage: Any) -> Usage:
    """Return the counts of a `usage` object; a missing, negative or invalid count is 0.

    Raises nothing, whatever the value.
    """
    if not isinstance(usage, Mapping):
        return Usage()
    details = usage.get("prompt_tokens_details")
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count(details.get("cached_tokens")) if isinstance(details, Mapping) else 0,
    )


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return min(max(int(value), 0), 2**53)
