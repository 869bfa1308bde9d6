"""Corrects a model's reply: names and arguments of calls are matched to the tools' schemas, calls in text are found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from aegis_tui.domain.tool.call_text import ends_in_thought, read_text_calls, without_thoughts
from aegis_tui.domain.tool.reading import read_arguments, read_name
from aegis_tui.ports.llm import ChatReply, ToolCall

LENGTH = "length"
"""The finish_reason of a reply that reached the limit of tokens."""


def read_reply(reply: ChatReply, *, allowed: Collection[str]) -> ChatReply:
    """Return the reply with its calls in the form of the tools' schemas, where that is possible without ambiguity.

    A call for which it is not stays as it is. Calls that the model wrote into its text are moved to `tool_calls`, if
    the reply has no other calls.

    Args:
        reply: The reply as the server sent it.
        allowed: Names of the tools that the request offered.
    """
    if reply.tool_calls:
        return replace(reply, tool_calls=tuple(_read(call, allowed) for call in reply.tool_calls))
    decoded = read_text_calls(reply.text, allowed=allowed, is_cut=reply.finish_reason == LENGTH)
    if decoded is None:
        return reply
    text, calls = decoded
    taken = tuple(ToolCall(f"text_{number}", *call) for number, call in enumerate(calls))
    return replace(reply, text=text, tool_calls=taken)


def _read(call: ToolCall, allowed: Collection[str]) -> ToolCall:
    name = read_name(call.name, allowed=allowed)
    return ToolCall(call.id, name, read_arguments(name, call.arguments))


def cut_words(reply: ChatReply) -> str:
    """Return a message that a reply without a call was cut off at the token limit, and whether while the model thought.

    Empty if it was not cut off.
    """
    if reply.finish_reason != LENGTH:
        return ""
    has_thought = ends_in_thought(reply.text) or (reply.has_thought and not without_thoughts(reply.text).strip())
    doing = "while the model was thinking" if has_thought else "before it called a tool"
    return f"the reply was cut off at the server's token limit (finish_reason length) {doing}"
