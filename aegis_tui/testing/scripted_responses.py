"""OpenAI's Responses API at the scripted server, for Codex.

Source: https://platform.openai.com/docs/api-reference/responses and /responses-streaming. Codex 0.171 offers the tools
of an MCP server as one tool of type `namespace`, and runs a call only if it comes back with that `namespace`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, Field

from aegis_tui.testing.scripted_generation import Generation
from aegis_tui.testing.scripted_http import HttpRequest
from aegis_tui.testing.scripted_request import (
    ChatError,
    OfferedTool,
    Result,
    ScriptedConversation,
    ScriptedRequest,
    check_body,
    dump_json,
    event_bytes,
    parse_object,
)

_Event = tuple[str, dict[str, Any]]
"""The type of an event, and its fields without type and number."""


class _ResponsesTool(BaseModel):
    type: str
    name: str | None = None
    parameters: dict[str, Any] | None = None
    tools: list[_ResponsesTool] = []


class _ResponsesBody(BaseModel):
    model: str | None = None
    input: str | list[dict[str, Any]] = Field(min_length=1)
    instructions: str | None = None
    tools: list[_ResponsesTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool = False
    max_output_tokens: int | None = Field(default=None, ge=1)
    previous_response_id: str | None = None


class ResponsesDialect:
    """POST /v1/responses. Replies are not stored: the client must send the whole conversation."""

    name = "responses"

    def parse(self, request: HttpRequest) -> ScriptedRequest:
        """Check a request and return it; reasoning, images and unknown items are left out.

        Raises:
            ChatError: It is not JSON, a field is not valid, or it builds on an earlier reply.
        """
        raw = parse_object(request.body)
        body = check_body(_ResponsesBody, raw)
        if body.previous_response_id is not None:
            raise ChatError("earlier replies are not stored", param="previous_response_id")
        chat = ScriptedConversation()
        chat.hear("system", [body.instructions] if body.instructions else [])
        for item in [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input:
            _add_item(chat, item)
        tools = [] if body.tool_choice == "none" else body.tools or []
        return ScriptedRequest(
            chat.messages,
            tools=raw.get("tools"),
            offered=tuple(_offered(tools)),
            model=body.model,
            stream=body.stream,
            max_tokens=body.max_output_tokens,
        )

    def error(self, error: ChatError) -> dict[str, Any]:
        """Return the JSON body of a refusal in vLLM's form: `error` with `message`, `type`, `param` and `code`."""
        wire = {"message": str(error), "type": error.kind, "param": error.param, "code": error.status}
        return {"error": wire}

    async def whole(self, generation: Generation) -> dict[str, Any]:
        """Run the generation and return its reply as one object; if it was cut off, its status is `incomplete`.

        Call it once for a generation.
        """
        said = await generation.whole()
        items: list[_Item] = [_Text(generation, 0, said.text)] if said.text else []
        for call, arguments in enumerate(said.arguments):
            items.append(_GrowingCall(generation, len(items), call, arguments))
        return _response(generation, _status(generation), _render(items, _status(generation)))

    async def stream(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """Run the generation and yield its reply as numbered server-sent events, at its pace.

        There is an item for the text and one for each call; a chunk may hold several events. Use `whole` or `stream` of
        a generation, and only once.
        """
        numbers = itertools.count()

        def wire(events: list[_Event]) -> bytes:
            parts = [
                event_bytes({"type": kind, "sequence_number": next(numbers), **fields}, kind) for kind, fields in events
            ]
            return b"".join(parts)

        items: list[_Item] = []
        async with generation.running():
            begun = {"response": _response(generation, "in_progress", [])}
            yield wire([("response.created", begun), ("response.in_progress", begun)])
            async for piece in generation.pieces():
                events = []
                if piece.opens:
                    events += items[-1].closed("completed") if items else []
                    items.append(_open(generation, len(items), piece.call))
                    events += items[-1].opened()
                events += items[-1].grown(piece.text) if piece.text else []
                yield wire(events)
            status = _status(generation)
            events = items[-1].closed(status) if items else []
            ended = {"response": _response(generation, status, _render(items, status))}
            yield wire([*events, (f"response.{status}", ended)])


def _add_item(chat: ScriptedConversation, item: Mapping[str, Any]) -> None:
    kind = item.get("type", "message")
    call_id = str(item.get("call_id"))
    if kind == "message" and item.get("role") == "assistant":
        chat.say(_texts(item.get("content")))
    elif kind == "message":
        chat.hear("user" if item.get("role") == "user" else "system", _texts(item.get("content")))
    elif kind == "function_call":
        namespace, name = item.get("namespace"), str(item.get("name"))
        chat.call(call_id, f"{namespace}__{name}" if namespace else name, str(item.get("arguments") or "{}"))
    elif kind == "custom_tool_call":
        chat.call(call_id, str(item.get("name")), dump_json({"input": item.get("input")}))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        chat.hear("user", [Result(call_id, "".join(_texts(item.get("output"))))])


def _texts(content: object) -> list[str]:
    """Return the texts of a content: text, or parts of which those without text, such as images, are left out."""
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text")]


def _offered(tools: list[_ResponsesTool], namespace: str | None = None) -> Iterator[OfferedTool]:
    """Yield the functions among the tools of a request, in order, without other tools, such as a web search.

    A tool of the type `namespace` is a group: its functions are yielded with its name as their `namespace`.
    """
    for tool in tools:
        if tool.type == "function" and tool.name:
            yield OfferedTool(tool.name, tool.parameters or {}, namespace)
        elif tool.type == "namespace":
            yield from _offered(tool.tools, tool.name)


class _Text:
    """The message with the reply's text, while it grows."""

    def __init__(self, generation: Generation, index: int, text: str = "") -> None:
        self._id = f"msg_scripted_{generation.number}_{index}"
        self._index = index
        self._text = text

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._index, "content_index": 0}

    @property
    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": []}

    def render(self, status: str) -> dict[str, Any]:
        """Return the item with the text that it has so far, and this status."""
        content = [self._part] if self._text else []
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def opened(self) -> list[_Event]:
        """Return the events that begin the item."""
        added = _added(self._index, self.render("in_progress"))
        return [added, ("response.content_part.added", {**self._place, "part": self._part})]

    def grown(self, text: str) -> list[_Event]:
        """Add text to the item; return the event that tells of it."""
        self._text += text
        return [("response.output_text.delta", {**self._place, "delta": text, "logprobs": []})]

    def closed(self, status: str) -> list[_Event]:
        """Return the events that end the item, with its whole text."""
        said = ("response.output_text.done", {**self._place, "text": self._text, "logprobs": []})
        part = ("response.content_part.done", {**self._place, "part": self._part})
        return [said, part, _done(self._index, self.render(status))]


class _GrowingCall:
    """A function call, while its arguments grow."""

    def __init__(self, generation: Generation, index: int, call: int, arguments: str = "") -> None:
        self._id = f"fc_scripted_{generation.number}_{index}"
        self._index = index
        self._call = generation.calls[call]
        self._call_id = generation.call_id(call)
        self._arguments = arguments

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self._index}

    def render(self, status: str) -> dict[str, Any]:
        """Return the item with the arguments that it has so far, and this status."""
        namespace = {"namespace": self._call.namespace} if self._call.namespace else {}
        names = {"call_id": self._call_id, "name": self._call.name, **namespace}
        return {"id": self._id, "type": "function_call", "status": status, **names, "arguments": self._arguments}

    def opened(self) -> list[_Event]:
        """Return the event that begins the item."""
        return [_added(self._index, self.render("in_progress"))]

    def grown(self, text: str) -> list[_Event]:
        """Add a part of the arguments to the item; return the event that tells of it."""
        self._arguments += text
        return [("response.function_call_arguments.delta", {**self._place, "delta": text})]

    def closed(self, status: str) -> list[_Event]:
        """Return the events that end the item, with its whole arguments."""
        fields = {**self._place, "name": self._call.name, "arguments": self._arguments}
        return [("response.function_call_arguments.done", fields), _done(self._index, self.render(status))]


_Item = _Text | _GrowingCall


def _open(generation: Generation, index: int, call: int | None) -> _Item:
    return _Text(generation, index) if call is None else _GrowingCall(generation, index, call)


def _added(index: int, item: dict[str, Any]) -> _Event:
    return "response.output_item.added", {"output_index": index, "item": item}


def _done(index: int, item: dict[str, Any]) -> _Event:
    return "response.output_item.done", {"output_index": index, "item": item}


def _render(items: list[_Item], status: str) -> list[dict[str, Any]]:
    """Return the output items as JSON objects; the last one has this status, those before it are completed."""
    return [*(item.render("completed") for item in items[:-1]), *(item.render(status) for item in items[-1:])]


def _status(generation: Generation) -> str:
    return "incomplete" if generation.end == "length" else "completed"


def _response(generation: Generation, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": generation.prompt_tokens,
        "input_tokens_details": {"cached_tokens": generation.cached_tokens},
        "output_tokens": generation.said_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": generation.prompt_tokens + generation.said_tokens,
    }
    return {
        "id": f"resp_scripted_{generation.number}",
        "object": "response",
        "created_at": generation.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": generation.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if status == "in_progress" else usage,
    }
