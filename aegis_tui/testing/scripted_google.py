"""Google's generateContent at the scripted server, for gemini-cli.

Source: https://ai.google.dev/api/generate-content and /api/tokens.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

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
    parse_arguments,
    parse_object,
)

METHOD_PATH = re.compile(r"/v1(?:beta)?/models/[^/]+:(generateContent|streamGenerateContent|countTokens)")
_STATUSES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND"}


class _Content(BaseModel):
    role: str | None = None
    """`model` for its own turns; anything else is what it is told."""
    parts: list[dict[str, Any]] = []


class _Declaration(BaseModel):
    name: str = Field(min_length=1)
    parameters: dict[str, Any] | None = None
    json_schema: dict[str, Any] | None = Field(default=None, alias="parametersJsonSchema")


class _GoogleTool(BaseModel):
    declarations: list[_Declaration] = Field(default=[], alias="functionDeclarations")


class _CallingConfig(BaseModel):
    mode: str = "AUTO"


class _ToolConfig(BaseModel):
    calling: _CallingConfig = Field(default=_CallingConfig(), alias="functionCallingConfig")


class _GenerationConfig(BaseModel):
    max_tokens: int | None = Field(default=None, ge=1, alias="maxOutputTokens")


class _GoogleBody(BaseModel):
    contents: list[_Content] = Field(min_length=1)
    system: _Content | None = Field(default=None, alias="systemInstruction")
    tools: list[_GoogleTool] = []
    tool_config: _ToolConfig = Field(default=_ToolConfig(), alias="toolConfig")
    config: _GenerationConfig = Field(default=_GenerationConfig(), alias="generationConfig")


class GoogleDialect:
    """POST /v1beta/models/MODEL:generateContent, :streamGenerateContent with ``alt=sse``, and :countTokens.

    Every MODEL gets the replies of the server's only model: gemini-cli names several, not all of them in its settings.
    """

    name = "google"

    def parse(self, request: HttpRequest) -> ScriptedRequest:
        """Check a request and return it; thoughts, images and unknown parts are left out.

        Raises:
            ChatError: It is not JSON, a field is not valid, or a stream is asked for without ``alt=sse``.
        """
        is_stream = request.path.endswith(":streamGenerateContent")
        if is_stream and parse_qs(request.query).get("alt") != ["sse"]:
            raise ChatError("a stream is sent with alt=sse only", param="alt")
        raw = parse_object(request.body)
        raw = raw.get("generateContentRequest") or raw  # the other form of a request that counts tokens
        body = check_body(_GoogleBody, raw)
        chat = ScriptedConversation()
        chat.hear("system", _texts(body.system.parts) if body.system else [])
        for content in body.contents:
            _add_content(chat, content)
        is_free = body.tool_config.calling.mode.upper() != "NONE"
        declarations = [item for tool in body.tools for item in tool.declarations if is_free]
        return ScriptedRequest(
            chat.messages,
            tools=raw.get("tools"),
            offered=tuple(OfferedTool(item.name, item.json_schema or item.parameters or {}) for item in declarations),
            stream=is_stream,
            max_tokens=body.config.max_tokens,
        )

    def error(self, error: ChatError) -> dict[str, Any]:
        """Return the JSON body of a refusal in Google's form: `error` with `code`, `message` and `status`."""
        status = _STATUSES.get(error.status, "FAILED_PRECONDITION")
        return {"error": {"code": error.status, "message": str(error), "status": status}}

    async def whole(self, generation: Generation) -> dict[str, Any]:
        """Run the generation and return its reply as one object; a call that was cut off is left out.

        Call it once for a generation.
        """
        said = await generation.whole()
        parts = [{"text": said.text}] if said.text else []
        is_cut = generation.end == "length"
        for index, arguments in enumerate(said.arguments[:-1] if is_cut else said.arguments):
            parts.append(_call_part(generation, index, arguments))
        return _chunk(generation, parts, is_last=True)

    async def stream(self, generation: Generation) -> AsyncGenerator[bytes, None]:
        """Run the generation and yield its reply as server-sent events at its pace.

        Each call is whole in one of them, as in Google's own streams; one that was cut off is left out. Use `whole` or
        `stream` of a generation, and only once.
        """
        call, arguments = -1, ""
        async with generation.running():
            async for piece in generation.pieces():
                if piece.call is None:
                    yield event_bytes(_chunk(generation, [{"text": piece.text}]))
                elif piece.opens:
                    if call >= 0:
                        yield event_bytes(_chunk(generation, [_call_part(generation, call, arguments)]))
                    call, arguments = piece.call, ""
                else:
                    arguments += piece.text
            if call >= 0 and generation.end != "length":
                yield event_bytes(_chunk(generation, [_call_part(generation, call, arguments)]))
            yield event_bytes(_chunk(generation, [{"text": ""}], is_last=True))


def render_count(tokens: int) -> dict[str, Any]:
    """Return the JSON reply to a request that counts tokens: `totalTokens`."""
    return {"totalTokens": tokens}


def _add_content(chat: ScriptedConversation, content: _Content) -> None:
    if content.role != "model":
        chat.hear("user", _heard(content.parts))
        return
    chat.say(_texts(content.parts))
    for call in (part["functionCall"] for part in content.parts if part.get("functionCall")):
        chat.call(_id_of(call), str(call.get("name")), dump_json(call.get("args") or {}))


def _heard(parts: list[dict[str, Any]]) -> Iterator[str | Result]:
    for part in parts:
        if result := part.get("functionResponse"):
            yield Result(_id_of(result), _result_text(result.get("response")))
        else:
            yield from _texts([part])


def _texts(parts: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for part in parts if isinstance(part.get("text"), str) and not part.get("thought")]


def _id_of(part: Mapping[str, Any]) -> str:
    """Return the id of a call, for which clients may send its name alone."""
    return str(part.get("id") or part.get("name"))


def _result_text(response: object) -> str:
    """Return the text of a function's result: its `output` or `error` if it has one, else all of it as JSON."""
    fields = response if isinstance(response, dict) else {}
    for value in (fields.get("output"), fields.get("error")):
        if isinstance(value, str):
            return value
    return dump_json(response)


def _call_part(generation: Generation, index: int, arguments: str) -> dict[str, Any]:
    name = generation.calls[index].flat_name
    return {"functionCall": {"id": generation.call_id(index), "name": name, "args": parse_arguments(arguments)}}


def _chunk(generation: Generation, parts: list[dict[str, Any]], *, is_last: bool = False) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if is_last:
        candidate["finishReason"] = "MAX_TOKENS" if generation.end == "length" else "STOP"
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": generation.prompt_tokens,
            "cachedContentTokenCount": generation.cached_tokens,
            "candidatesTokenCount": generation.said_tokens,
            "totalTokenCount": generation.prompt_tokens + generation.said_tokens,
        },
        "modelVersion": generation.model,
        "responseId": f"scripted-{generation.number}",
    }
