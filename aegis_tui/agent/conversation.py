"""One instance's conversation with its model. It only grows until the context is full; each call gets its result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aegis_tui.agent.compaction import compact
from aegis_tui.agent.history import reshape, size_of
from aegis_tui.ports.llm import ChatReply


class Conversation:
    """Messages in the form of the chat completions API. Every tool call gets exactly one result, in order."""

    def __init__(self, system: str) -> None:
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": system}]
        self._unanswered: list[str] = []
        self._is_plain = False
        self._keeps_system = True

    @property
    def messages(self) -> Sequence[dict[str, Any]]:
        """All messages so far, in order, the system message first; the caller must not change them.

        After `make_plain` they are in the form that `reshape` describes; after `make_plain(keeps_system=False)` there
        is no system message: its text is a part of the first user message.
        """
        return reshape(self._messages, keeps_system=self._keeps_system) if self._is_plain else self._messages

    def shorten(self, share: float) -> bool:
        """Permanently shorten the conversation to about `share` (0 to 1) of its size; return whether it got shorter.

        Views of files go first, then finished steps become a line each (see `compact`). The system message and the
        brief stay whole, so it can stay longer than that.
        """
        before = size_of(self._messages)
        self._messages = compact(self._messages, int(before * share))
        return size_of(self._messages) < before

    def make_plain(self, *, keeps_system: bool) -> bool:
        """Use the plainest form of the conversation from now on (see `reshape`); return False if that changes nothing.

        Args:
            keeps_system: Whether the system message stays one; else it becomes a part of the first user message.
        """
        before = list(self.messages)
        self._is_plain, self._keeps_system = True, keeps_system
        return list(self.messages) != before

    @property
    def results(self) -> list[str]:
        """The results of tools that the conversation still contains, shortened ones too."""
        return [str(message["content"]) for message in self._messages if message["role"] == "tool"]

    @property
    def is_new(self) -> bool:
        """Whether the conversation contains only the system message."""
        return len(self._messages) == 1

    @property
    def is_unanswered(self) -> bool:
        """Whether the conversation contains no reply of the model yet."""
        return all(message["role"] != "assistant" for message in self._messages)

    def add_user(self, text: str) -> None:
        """Append a message of a person, the hub or an event; join it to the last message if that is a user message."""
        if self._messages[-1]["role"] == "user":
            self._messages[-1] = {"role": "user", "content": f"{self._messages[-1]['content']}\n\n{text}"}
        else:
            self._messages.append({"role": "user", "content": text})

    def add_reply(self, reply: ChatReply) -> None:
        """Append the model's reply; an empty one without calls becomes `(no answer)`. Its calls now need results.

        Arguments that are not a JSON object are replaced by `{}`, and a missing name by `unknown`: chat templates parse
        the history and would refuse every later request. The tool result tells the model what was wrong with them.
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
        """Append the result of one call of the last reply.

        Raises:
            ValueError: The last reply has no such call, or it has a result already.
        """
        self._unanswered.remove(call_id)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def answer_rest(self, text: str) -> None:
        """Give every call of the last reply that has no result yet the result `text`; no effect if all have one."""
        for call_id in list(self._unanswered):
            self.add_result(call_id, text)


def _as_object(arguments: str) -> str:
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return "{}"
    return arguments if isinstance(parsed, dict) else "{}"
