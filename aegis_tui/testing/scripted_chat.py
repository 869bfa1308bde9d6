"""OpenAI's chat completions at the scripted server: checks a request as vLLM does, replies at once or as a stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pydantic import BaseModel, Field

from aegis_tui.testing.scripted_generation import Generation, ReplyPart
from aegis_tui.testing.scripted_http import HttpRequest
from aegis_tui.testing.scripted_request import (
    ChatError,
    OfferedTool,
    ScriptedRequest,
    check_body,
    event_bytes,
    parse_object,
)

FINGERPRINT = "scripted"
_CHUNK = "chat.completion.chunk"


class _Function(BaseModel):
    name: str = Field(min_length=1)
    parameters: dict[str, Any] | None = None


class _ChatTool(BaseModel):
    type: str = "function"
    function: _Function


class _StreamOptions(BaseModel):
    include_usage: bool = False
    continuous_usage_stats: bool = False


class _ChatBody(BaseModel):
    model: str | None = None
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[_ChatTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)


class ChatDialect:
    """POST /v1/chat/completions, as vLLM 0.32 answers it."""

    name = "chat"

    def parse(self, request: HttpRequest) -> ScriptedRequest:
        """Check a request and return it.

        Raises:
            ChatError: It is not JSON, or a field is not valid; the message names the field.
        """
        raw = parse_object(request.body)
        body = check_body(_ChatBody, raw)
        if any(not isinstance(message.get("role"), str) for message in body.messages):
            raise ChatError("messages: each needs a role", param="messages")
        options = body.stream_options or _StreamOptions()
        tools = [] if body.tool_choice == "none" else body.tools or []
        return ScriptedRequest(
            body.messages,
            tools=raw.get("tools"),
            offered=tuple(OfferedTool(tool.function.name, tool.function.parameters or {}) for tool in tools),
            model=body.model,
            stream=body.stream,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            include_usage=options.include_usage,
            continuous_usage=options.continuous_usage_stats,
        )

    def error(self, error: ChatError) -> dict[str, Any]:
        """Return the JSON body of a refusal in vLLM's form: `error` with `message`, `type`, `param` and `code`."""
        wire = {"message": str(error), "type": error.kind, "param": error.param, "code": error.status}
        return {"error": wire}

    async def whole(self, generation: Generation) -> dict[str, Any]:
        """Run the generation and return its reply as a `chat.completion`, after the time that a stream would take.

        Call it once for a generation. The arguments of a call that was cut off are incomplete.
        """
        said = await generation.whole()
        calls = [
            {"id": generation.call_id(index), "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(zip(_names(generation), said.arguments, strict=False))
        ]
        message = {"role": "assistant", "content": said.text or None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": generation.end}
        return {**_head(generation, "chat.completion"), "choices": [choice], "usage": _usage(generation)}

    async def stream(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """Run the generation and yield its reply as server-sent events at its pace; the last one is ``[DONE]``.

        Use `whole` or `stream` of a generation, and only once.
        """
        async with generation.running():
            yield _chunk(generation, {"role": "assistant", "content": ""})
            async for piece in generation.pieces():
                yield _chunk(generation, _delta(generation, piece))
            yield _chunk(generation, {}, generation.end)
            if generation.request.include_usage:
                yield event_bytes({**_head(generation, _CHUNK), "choices": [], "usage": _usage(generation)})
        yield b"data: [DONE]\n\n"


def _names(generation: Generation) -> list[str]:
    return [call.flat_name for call in generation.calls]


def _delta(generation: Generation, piece: ReplyPart) -> dict[str, Any]:
    if piece.call is None:
        return {"content": piece.text}
    if not piece.opens:
        return {"tool_calls": [{"index": piece.call, "function": {"arguments": piece.text}}]}
    function = {"name": _names(generation)[piece.call], "arguments": ""}
    head = {"index": piece.call, "id": generation.call_id(piece.call), "type": "function", "function": function}
    return {"tool_calls": [head]}


def _usage(generation: Generation) -> dict[str, Any]:
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.said_tokens,
        "total_tokens": generation.prompt_tokens + generation.said_tokens,
        "prompt_tokens_details": {"cached_tokens": generation.cached_tokens},
    }


def _head(generation: Generation, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-scripted-{generation.number}",
        "object": kind,
        "created": generation.created,
        "model": generation.model,
        "system_fingerprint": FINGERPRINT,
    }


def _chunk(generation: Generation, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {**_head(generation, _CHUNK), "choices": [choice]}
    if generation.request.include_usage and generation.request.continuous_usage:
        chunk["usage"] = _usage(generation)
    return event_bytes(chunk)
