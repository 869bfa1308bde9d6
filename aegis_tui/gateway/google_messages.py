"""Translates the conversation of a request in Google's API into chat messages.

Source: https://ai.google.dev/api/caching#Content. What a chat message cannot carry becomes a line of text that says so.
The ids of tool calls are made up from their order, so that a conversation gets the same ones in each request and keeps
its place in the prefix cache (LLM-3).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

from aegis_tui.gateway.google_fields import Fields, field_of, object_of, objects_of, text_of
from aegis_tui.gateway.rejected import Rejected

Message = dict[str, Any]
ChatPart = dict[str, Any]

NO_RESULT = "(no result)"
"""The result of a call that the conversation does not answer: every call needs one in a chat."""
_PLAIN_RESULTS = ("output", "result", "content")
"""Names under which programs wrap a plain text, which the model then gets without the wrapping."""


class _OpenCall(NamedTuple):
    """A tool call whose result has not come yet."""

    call_id: str
    name: str
    given_id: str


def messages_of(fields: Fields) -> list[Message]:
    """Return the chat messages for the fields `systemInstruction` and `contents` of a request's body, in their order.

    Consecutive turns of one side become one message. A tool call without a result gets one that says so, and what a
    chat message cannot carry becomes a text.

    Raises:
        Rejected: There are no contents, or a field has a wrong form (400).
        RecursionError: The arguments or the result of a tool call are nested too deeply.
    """
    conversation = _Conversation()
    conversation.instruct(field_of(fields, "systemInstruction"))
    contents = objects_of(fields, "contents")
    if not contents:
        raise Rejected(400, "body.fields", "contents is empty")
    for content in contents:
        conversation.add(content)
    return conversation.finished()


class _Conversation:
    """Chat messages that grow by one content, which is a turn in Google's API, at a time.

    While calls are open, the last message is theirs or the result of one of them. A method that gets a field of a wrong
    form raises `Rejected` (400); one whose field holds a call or a result that is nested too deeply, `RecursionError`.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._open: list[_OpenCall] = []
        self._call_count = 0

    def instruct(self, instruction: Any) -> None:
        """Add the system message: the texts of a content (Google's turn, with `parts`), or a plain text.

        No effect for anything else, or if it has no text.
        """
        content = {"parts": [{"text": instruction}]} if isinstance(instruction, str) else instruction
        parts = objects_of(content, "parts") if isinstance(content, dict) else []
        text = "\n".join(_texts(parts))
        if text:
            self._messages.append({"role": "system", "content": text})

    def add(self, content: Fields) -> None:
        """Add one content (a turn): to a message of the assistant if its role is `model`, else of the user.

        Results of tool calls become messages of their own. Parts marked as thoughts are left out. No effect if nothing
        else is in it.
        """
        parts = [part for part in objects_of(content, "parts") if not part.get("thought")]
        if content.get("role") == "model":
            self._add_model(parts)
        else:
            self._add_user(parts)

    def finished(self) -> list[Message]:
        """Give calls that have no result one that says so, and return the messages.

        User messages of texts alone become plain texts, which every server takes.
        """
        self._close_calls()
        for message in self._messages:
            if message["role"] == "user" and all(part["type"] == "text" for part in message["content"]):
                message["content"] = "\n".join(part["text"] for part in message["content"])
        return self._messages

    def _add_model(self, parts: list[Fields]) -> None:
        text = "".join(_texts(parts))
        calls = [object_of(part, "functionCall") for part in parts if field_of(part, "functionCall")]
        if not text and not calls:
            return
        if not self._messages or self._messages[-1]["role"] != "assistant":
            self._close_calls()
            self._messages.append({"role": "assistant", "content": None})
        message = self._messages[-1]
        if text:
            message["content"] = (message["content"] or "") + text
        if calls:
            message.setdefault("tool_calls", []).extend(self._call(item) for item in calls)

    def _call(self, call: Fields) -> dict[str, Any]:
        self._call_count += 1
        call_id = f"call{self._call_count:05d}"  # nine letters and digits: the only form that Mistral's template takes
        name = text_of(call, "name")
        self._open.append(_OpenCall(call_id, name, text_of(call, "id")))
        arguments = json.dumps(object_of(call, "args"), ensure_ascii=False)
        return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _add_user(self, parts: list[Fields]) -> None:
        shown: list[ChatPart] = []
        for part in parts:
            if field_of(part, "functionResponse"):
                shown += self._answer(object_of(part, "functionResponse"))
            else:
                shown += _shown(part)
        if not shown:
            return
        self._close_calls()
        if self._messages and self._messages[-1]["role"] == "user":
            self._messages[-1]["content"] += shown
        else:
            self._messages.append({"role": "user", "content": shown})

    def _answer(self, response: Fields) -> list[ChatPart]:
        """Add the result of an open call; return what a tool message cannot carry, for the user message after it.

        An open call is one that has no result yet. The result belongs to the one with its id, else to the first of its
        name. If there is neither, nothing is added, and the result is returned as a text.
        """
        name, text = text_of(response, "name"), _result_text(response)
        call = self._match(name, text_of(response, "id"))
        more = [item for part in objects_of(response, "parts") for item in _shown(part)]
        if call is None:  # its call was cut out of the conversation
            return [_text(f"[result of {name}]\n{text}"), *more]
        self._open.remove(call)
        self._messages.append({"role": "tool", "tool_call_id": call.call_id, "content": text})
        return more

    def _match(self, name: str, given_id: str) -> _OpenCall | None:
        """Return the open call with the id, else the first one of that name; None if there is neither."""
        by_id = (call for call in self._open if given_id and call.given_id == given_id)
        by_name = (call for call in self._open if call.name == name)
        return next(by_id, None) or next(by_name, None)

    def _close_calls(self) -> None:
        """Add the result "(no result)" for each open call: servers refuse a conversation with an unanswered call."""
        for call in self._open:
            self._messages.append({"role": "tool", "tool_call_id": call.call_id, "content": NO_RESULT})
        self._open.clear()


def _texts(parts: list[Fields]) -> list[str]:
    return [item["text"] for part in parts for item in _shown(part) if item["type"] == "text"]


def _text(text: str) -> ChatPart:
    return {"type": "text", "text": text}


def _shown(part: Fields) -> list[ChatPart]:
    """Return the chat parts (dicts with `type`, text or image) for one part of Google's; none for one without content.

    A file that is only named, code and its output become texts.

    Raises:
        Rejected: A field has a wrong form (400).
    """
    if text := text_of(part, "text"):
        return [_text(text)]
    if data := object_of(part, "inlineData"):
        return [_inline(text_of(data, "mimeType"), text_of(data, "data"))]
    if file := object_of(part, "fileData"):
        return [_text(f"[the file {text_of(file, 'fileUri')} is not fetched]")]
    if code := object_of(part, "executableCode"):
        return [_text(f"```\n{text_of(code, 'code')}\n```")]
    if result := object_of(part, "codeExecutionResult"):
        return [_text(f"```\n{text_of(result, 'output')}\n```")]
    return []


def _inline(media_type: str, data: str) -> ChatPart:
    """Return the chat part for attached data: an image as a data URL, a text decoded, else a text with its type.

    Args:
        media_type: Such as `image/png`; empty if it is not known.
        data: In base64, of either alphabet.

    Raises:
        Rejected: A text is not valid base64 (400).
    """
    plain = data.replace("-", "+").replace("_", "/")
    if media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{plain}"}}
    if not media_type.startswith("text/"):
        return _text(f"[an attachment of type {media_type or 'unknown'}, which this model cannot be shown]")
    try:
        return _text(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("utf-8", "replace"))
    except (binascii.Error, ValueError) as error:
        raise Rejected(400, "body.fields", "inlineData.data is not base64") from error


def _result_text(response: Fields) -> str:
    """Return the result of a function as the model gets it: as JSON, which is `{}` if there is none.

    If its only field is a text named `output`, `result` or `content`, that text is returned as it is.

    Raises:
        RecursionError: It is nested too deeply.
    """
    value = field_of(response, "response")
    if isinstance(value, dict) and len(value) == 1:
        ((name, only),) = value.items()
        if name in _PLAIN_RESULTS and isinstance(only, str):
            return only
    return json.dumps({} if value is None else value, ensure_ascii=False)
