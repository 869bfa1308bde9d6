"""Puts a streamed chat completion together: text, tool calls in fragments, finish reason, usage.

Servers differ: some omit a call's index, some its id, some repeat usage in every chunk, some send null fields. What
is tolerated here was seen on a server; nothing here reads a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_tui.ports.llm import ChatReply, ToolCall, Usage


class _PartialCall:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class ReplyAssembler:
    """One reply in the making. Feed it each chunk's JSON; `reply` is what has come so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, _PartialCall] = {}
        self._usage = Usage()
        self._finish_reason = ""

    @property
    def has_finished(self) -> bool:
        """Whether the server said why it stopped; a stream that ends before that was cut."""
        return bool(self._finish_reason)

    @property
    def has_begun(self) -> bool:
        """Whether any text or call has come."""
        return bool(self._text or self._calls)

    def feed(self, chunk: Mapping[str, Any]) -> str:
        """Take one chunk and return the text it adds, often empty."""
        if usage := chunk.get("usage"):
            self._usage = parse_usage(usage)
        choices = chunk.get("choices") or []
        if not choices:
            return ""
        choice = choices[0]
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        delta = choice.get("delta") or choice.get("message") or {}
        for fragment in delta.get("tool_calls") or []:
            self._take_call(fragment)
        text = delta.get("content") or ""
        if text:
            self._text.append(text)
        return str(text)

    def _take_call(self, fragment: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(self._index_of(fragment), _PartialCall())
        function = fragment.get("function") or {}
        call.id = call.id or fragment.get("id") or ""
        call.name = call.name or function.get("name") or ""
        if arguments := function.get("arguments"):
            call.arguments.append(arguments)

    def _index_of(self, fragment: Mapping[str, Any]) -> int:
        """The place of a fragment's call; a fragment without an index belongs to the newest call or opens one."""
        index = fragment.get("index")
        if isinstance(index, int):
            return index
        newest = max(self._calls, default=-1)
        if (call_id := fragment.get("id")) and (newest < 0 or self._calls[newest].id != call_id):
            return newest + 1
        return max(newest, 0)

    def reply(self) -> ChatReply:
        """The reply as it stands. Calls without an id, or with one that came twice, get one that is unique here."""
        calls: list[ToolCall] = []
        for index, partial in sorted(self._calls.items()):
            taken = {call.id for call in calls}
            call_id = partial.id if partial.id and partial.id not in taken else f"call_{index}"
            calls.append(ToolCall(call_id, partial.name, "".join(partial.arguments)))
        return ChatReply("".join(self._text), tuple(calls), self._finish_reason, self._usage)


def parse_usage(usage: Mapping[str, Any]) -> Usage:
    """The counts of a `usage` object; missing or null ones are 0."""
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=details.get("cached_tokens") or 0,
    )
