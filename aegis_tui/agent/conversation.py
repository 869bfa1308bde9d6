"""One instance's conversation with its model: append only until the context is full, each call with its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aegis_tui.agent.history import reshape, shorten, size_of
from aegis_tui.ports.llm import ChatReply


class Conversation:
    """Messages in the shape of chat completions. Every tool call gets exactly one result, in order."""

    def __init__(self, system: str) -> None:
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
        self._unanswered: list[str] = []
        self._is_plain = False
        self._keeps_system = True

    @property
    def messages(self) -> Sequence[dict[str, Any]]:
        """All messages so far, in the form that the server is known to accept."""
        return reshape(self._messages, keeps_system=self._keeps_system) if self._is_plain else self._messages

    def shorten(self, share: float) -> bool:
        """Leave out the oldest results for good, to `share` of the present size; returns whether anything went."""
        before = size_of(self._messages)
        self._messages = shorten(self._messages, int(before * share))
        return size_of(self._messages) < before

    def make_plain(self, *, keeps_system: bool) -> bool:
        """Show the conversation in its plainest form from now on; returns False when that changes nothing."""
        before = list(self.messages)
        self._is_plain, self._keeps_system = True, keeps_system
        return list(self.messages) != before

    @property
    def is_new(self) -> bool:
        """Whether nothing but the system message is in it."""
        return len(self._messages) == 1

    @property
    def is_unanswered(self) -> bool:
        """Whether no reply of the model is in it."""
        return all(message["role"] != "assistant" for message in self._messages)

    def add_user(self, text: str) -> None:
        """Append what a person, the hub or an event says. Joined to the message before if that is a user's too."""
        if self._messages[-1]["role"] == "user":
            self._messages[-1] = {"role": "user", "content": f"{self._messages[-1]['content']}\n\n{text}"}
        else:
            self._messages.append({"role": "user", "content": text})

    def add_reply(self, reply: ChatReply) -> None:
        """Append the model's reply.

        Arguments that are not a JSON object are kept as `{}`: chat templates parse the history and would refuse
        every later request. The tool result says what was wrong with them.
        """
        message: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if reply.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name or "unknown", "arguments": _as_object(call.arguments)},
                }
                for call in reply.tool_calls
            ]
            self._unanswered = [call.id for call in reply.tool_calls]
        elif not reply.text.strip():
            message["content"] = "(no answer)"
        self._messages.append(message)

    def add_result(self, call_id: str, text: str) -> None:
        """Append the result of one call."""
        self._unanswered.remove(call_id)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def answer_rest(self, text: str) -> None:
        """Give every call that has no result yet the result `text`."""
        for call_id in list(self._unanswered):
            self.add_result(call_id, text)


def _as_object(arguments: str) -> str:
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return "{}"
    return arguments if isinstance(parsed, dict) else "{}"
